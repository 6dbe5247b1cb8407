"""Reads pairs for training: size, look and label maps decided once, decoded pairs remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.colour import Rgb
from ladle_rt.datasets import Pair, read_pair
from ladle_rt.datasets.labels import read_labels
from ladle_rt.frames import ThermalPixels
from ladle_rt.training.augment import Box, crop_and_resize

CACHE_BYTES = 1 << 30
"""Decoded pairs kept per process; beyond it a pair is read from disk each time."""


class Loaded(NamedTuple):
    """A pair, or a part of it; not to be written to."""

    thermal: ThermalPixels
    """HxW uint8 or uint16."""
    visible: Rgb
    """HxWx3 uint8 RGB, in the run's look."""
    labels: npt.NDArray[np.uint8] | None
    """HxW, see `ladle_rt.datasets.labels`; None where the dataset has none."""

    def part(self, box: Box, size: tuple[int, int]) -> Loaded:
        """A box of it, resized to ``size`` (height, width)."""
        thermal, visible = crop_and_resize(self.thermal, self.visible, box, size)
        labels = self.labels
        if labels is not None:
            top, left, height, width = box
            window = labels[top : top + height, left : left + width]
            nearest = cv2.resize(window, size[::-1], interpolation=cv2.INTER_NEAREST)
            labels = np.asarray(nearest, np.uint8)
        return Loaded(thermal, visible, labels)


class PairReader:
    """Reads pairs at no more than a given size and remembers them.

    Pairs of unequal size are brought to the thermal image's size.

    Args:
        max_size: height and width.
        labels: read label maps too, where a dataset has them.
    """

    def __init__(self, max_size: tuple[int, int], labels: bool = False) -> None:
        self._max_size = max_size
        self._labels = labels
        self._cache: dict[Path, Loaded] = {}
        self._bytes = 0

    def __call__(self, pair: Pair, grade: Callable[[Rgb], Rgb] | None = None) -> Loaded:
        """A pair, its visible image graded; always by the same grade for one pair."""
        if pair.thermal in self._cache:
            return self._cache[pair.thermal]
        thermal, visible = read_pair(pair)
        if grade is not None:
            visible = grade(visible)
        labels = read_labels(pair, thermal.shape) if self._labels else None
        height = min(thermal.shape[0], self._max_size[0])
        width = min(thermal.shape[1], self._max_size[1])
        loaded = Loaded(thermal, visible, labels).part((0, 0, *thermal.shape), (height, width))
        size = sum(image.nbytes for image in loaded if image is not None)
        if self._bytes + size <= CACHE_BYTES:
            self._cache[pair.thermal] = loaded
            self._bytes += size
        return loaded
