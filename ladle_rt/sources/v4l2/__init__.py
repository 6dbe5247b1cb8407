"""Cameras of Linux, by Video4Linux2."""
