"""Quality against ground truth, always beside trivial baselines. Needs the ``train`` extra."""
