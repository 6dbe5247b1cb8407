"""Quality against ground truth, always beside trivial baselines.

Colour differences need scikit-image and checkpoints need torch (extra ``train``); steadiness of
videos needs neither.
"""
