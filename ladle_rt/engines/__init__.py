"""From a checkpoint to a runnable artifact. Needs the ``train`` extra."""
