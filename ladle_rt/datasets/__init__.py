"""Paired thermal and visible images on disk, in the layouts their authors published.

No torch here: training, evaluation and calibration all read through this package.
"""

from ladle_rt.datasets.layouts import LAYOUTS, find_pairs
from ladle_rt.datasets.lists import read_image_list
from ladle_rt.datasets.pairs import Light, Pair
from ladle_rt.datasets.read_image import read_thermal, read_visible
from ladle_rt.datasets.read_pair import FlatThermalError, read_pair
from ladle_rt.datasets.splits import subset

__all__ = [
    "LAYOUTS",
    "FlatThermalError",
    "Light",
    "Pair",
    "find_pairs",
    "read_image_list",
    "read_pair",
    "read_thermal",
    "read_visible",
    "subset",
]
