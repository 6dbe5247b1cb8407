"""Training: data, loss, loop. Needs the ``train`` extra."""
