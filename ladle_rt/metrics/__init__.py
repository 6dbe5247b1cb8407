"""Similarity of images, on OpenCV and NumPy alone."""
