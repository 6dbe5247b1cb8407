"""Other tone curves than the percentile stretch, on raw counts, before any translator.

The model's own normalisation follows; these change the shape of the histogram that it sees.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import ThermalPixels
from ladle_rt.thermal.normalization import LevelTracker, ThermalNormalization, apply_levels

PLATEAU = 3.0
"""Counts of a bin above so many times the mean of the filled ones are cut off."""
MEMORY_S = 1.0
"""Time constant of the histogram, seconds: a curve of each frame by itself would pump."""
CLIP_LIMIT = 2.0
TILES = (8, 8)


class PlateauEqualizer:
    """Plateau histogram equalisation (Vickers, "Plateau equalization algorithm for real-time
    display of high-quality infrared imagery", Opt. Eng. 35(7), 1996) with a curve that moves
    slowly. In frame order, from one thread."""

    def __init__(self) -> None:
        self._histogram: Any = None
        self._time_s = 0.0

    def apply(self, pixels: ThermalPixels, time_s: float) -> ThermalPixels:
        """Equalise one frame.

        Args:
            pixels: HxW, uint8 or uint16 counts.
            time_s: presentation time; running back or another dtype starts anew.

        Returns:
            HxW of the same dtype over its whole range, owned by the caller.
        """
        bins = 256 if pixels.dtype == np.uint8 else 65_536
        histogram = np.bincount(pixels.reshape(-1), minlength=bins) / pixels.size
        elapsed_s = time_s - self._time_s
        self._time_s = time_s
        before = self._histogram
        if before is None or len(before) != bins or elapsed_s < 0:
            self._histogram = histogram
        else:
            keep = math.exp(-elapsed_s / MEMORY_S)
            self._histogram = keep * before + (1 - keep) * histogram
        curve: Any = plateau_curve(self._histogram).astype(pixels.dtype)
        return curve[pixels]  # type: ignore[no-any-return]


def plateau_curve(histogram: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The curve of a histogram of 256 or 65536 bins: whole numbers from 0 to the last bin."""
    filled = histogram[histogram > 0]
    cut = np.minimum(histogram, PLATEAU * filled.mean())
    cumulative = np.cumsum(cut)
    return np.asarray((cumulative / cumulative[-1] * (len(histogram) - 1)).round())


class ClaheEqualizer:
    """Contrast-limited adaptive equalisation (Zuiderveld, Graphics Gems IV, 1994) by OpenCV, after
    the percentile stretch. In frame order, from one thread."""

    def __init__(self, spec: ThermalNormalization) -> None:
        self._spec = spec
        self._tracker = LevelTracker(spec, MEMORY_S)
        self._clahe = cv2.createCLAHE(clipLimit=CLIP_LIMIT, tileGridSize=TILES)

    def apply(self, pixels: ThermalPixels, time_s: float) -> ThermalPixels:
        """Equalise one frame.

        Args:
            pixels: HxW, uint8 or uint16 counts.
            time_s: presentation time.

        Returns:
            HxW uint8, owned by the caller.
        """
        unit = apply_levels(pixels, self._tracker.update(pixels, time_s), self._spec)
        equalized: Any = self._clahe.apply(cv2.convertScaleAbs(unit, alpha=255))
        return equalized  # type: ignore[no-any-return]
