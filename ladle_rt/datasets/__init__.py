"""Paired thermal and visible images on disk, in the layouts their authors published.

No torch here: training, evaluation and calibration all read through this package.
"""

from ladle_rt.datasets.images import read_thermal, read_visible
from ladle_rt.datasets.layouts import LAYOUTS, find_pairs
from ladle_rt.datasets.pairs import Light, Pair, read_image_list

__all__ = [
    "LAYOUTS",
    "Light",
    "Pair",
    "find_pairs",
    "read_image_list",
    "read_thermal",
    "read_visible",
]
