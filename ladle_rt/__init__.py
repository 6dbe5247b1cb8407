"""Thermal-infrared video to natural-looking colour video, in real time.

The colours are synthesised by a network, not measured.
"""

__version__ = "0.4.0"

__all__ = ["__version__"]
