"""Cameras of Linux, by Video4Linux2.

Own code, by ioctl: OpenCV's capture gives neither the driver's times nor its sequence numbers,
by which dropped frames are counted.
"""
