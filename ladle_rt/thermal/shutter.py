"""Seeing a closed shutter: flat-field correction (FFC) hides the scene for part of a second.

Uncooled cameras close a shutter every few minutes to measure their own offsets. Meanwhile they
deliver either the last frame again and again, or the shutter itself: a picture without scene,
whose spread is a fraction of what it just was. Both end by themselves; what lasts longer than
`LONGEST_S` is no shutter and is believed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ladle_rt.frames import Frame
from ladle_rt.geometry import samples
from ladle_rt.thermal.normalization import cumulative_histogram

LONGEST_S = 3.0
FLAT_SHARE = 0.25
"""A spread below this share of the usual one is no scene."""
SPREAD_MEMORY_S = 2.0
"""Time constant of the usual spread, seconds."""
SAMPLES_PER_SIDE = 96


class ShutterDetector:
    """Tells which frames show the shutter; in frame order, from one thread."""

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._spread: float | None = None
        self._closed_since_s: float | None = None

    def update(self, frame: Frame) -> bool:
        """Whether this frame hides the scene.

        Args:
            frame: HxW, uint8 or uint16; its presentation time counts.
        """
        last, self._last = self._last, frame
        spread = _spread(frame.pixels)
        if last is None or not self._comparable(last, frame) or self._spread is None:
            self._open(spread)
            return False
        repeated = np.array_equal(last.pixels, frame.pixels)
        if not repeated and spread >= FLAT_SHARE * self._spread:
            elapsed_s = frame.time_s - last.time_s
            keep = math.exp(-elapsed_s / SPREAD_MEMORY_S)
            self._open(keep * self._spread + (1 - keep) * spread)
            return False
        if self._closed_since_s is None:
            self._closed_since_s = frame.time_s
        if frame.time_s - self._closed_since_s <= LONGEST_S:
            return True
        # This is what the camera sees now; until something moves it is not asked again.
        self._spread = spread
        return False

    def _comparable(self, last: Frame, frame: Frame) -> bool:
        same = last.pixels.shape == frame.pixels.shape and last.pixels.dtype == frame.pixels.dtype
        return same and 0 <= frame.time_s - last.time_s < LONGEST_S

    def _open(self, spread: float) -> None:
        self._spread, self._closed_since_s = spread, None


def _spread(pixels: Any) -> float:
    """Range between the 2nd and the 98th percentile of a subsample, in counts.

    To the last bit what `numpy.percentile` gives, which sorts.
    """
    few = np.ascontiguousarray(samples(pixels, SAMPLES_PER_SIDE))
    places = np.array([0.02, 0.98]) * (few.size - 1)
    below = places.astype(np.int64)
    ranks = np.minimum([below, below + 1], few.size - 1)
    first, second = np.searchsorted(cumulative_histogram(few), ranks, side="right")
    low, high = first + (second - first) * (places - below)
    return float(high - low)
