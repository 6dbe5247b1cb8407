"""What uncooled sensors add to the scene: stuck pixels, and stripes of columns and rows."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import ThermalPixels

LOOK_EVERY = 4
"""One frame in so many is searched for stuck pixels."""
LOOKS = 12
"""A pixel is stuck when it stood out in nearly all of so many looks."""
STUCK_SHARE = 0.9
NOISE_FACTOR = 10.0
SPAN_SHARE = 0.04
"""It stands out when it differs from its neighbours' median by so many times the noise, and by
this share of the frame's span."""
MOST_STUCK = 0.01
"""More than this share of the picture is not stuck but scene."""

STRIPE_WINDOW = 9
"""Pixels: what is smoother than this across the stripes belongs to the scene."""
STRIPE_LIMIT = 0.02
"""Largest correction, share of the frame's span."""
STRIPE_MEMORY_S = 2.0
STRIPE_SAMPLES = 160
"""Each offset is a median of at most about so many pixels."""


class DeadPixels:
    """Finds pixels that always stand out and shows their neighbours' median instead.

    Needs a scene that moves now and then: a point source that never moves looks the same.
    """

    def __init__(self) -> None:
        self._frames = 0
        self._score: Any = None
        self._stuck: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None = None

    @property
    def count(self) -> int:
        """Pixels that are being replaced."""
        return 0 if self._stuck is None else len(self._stuck[0])

    def apply(self, pixels: ThermalPixels) -> ThermalPixels:
        """Repair one frame; in frame order.

        Args:
            pixels: HxW, uint8 or uint16; never written to.

        Returns:
            The same array where there is nothing to repair, else a new one.
        """
        if self._score is None or self._score.shape != pixels.shape:
            self._frames, self._stuck = 0, None
            self._score = np.zeros(pixels.shape, np.float32)
        median: Any = None
        if self._frames % LOOK_EVERY == 0:
            median = cv2.medianBlur(pixels, 3)
            self._look(pixels, median)
        self._frames += 1
        if self._stuck is None or not len(self._stuck[0]):
            return pixels
        repaired: ThermalPixels = pixels.copy()
        rows, columns = self._stuck
        repaired[rows, columns] = self._neighbours(pixels, rows, columns)
        return repaired

    def _look(self, pixels: ThermalPixels, median: ThermalPixels) -> None:
        difference = cv2.absdiff(pixels, median)
        few = difference[::4, ::4]
        low, high = np.percentile(median[::4, ::4], [1, 99])
        limit = max(NOISE_FACTOR * float(few.mean()), SPAN_SHARE * float(high - low), 2.0)
        rate = np.float32(1 / LOOKS)
        self._score *= 1 - rate
        self._score += rate * (difference > limit)
        looks = self._frames // LOOK_EVERY + 1
        if looks < LOOKS:
            return
        # What the average could have reached after so many looks.
        reachable = 1 - (1 - 1 / LOOKS) ** looks
        found = np.nonzero(self._score > STUCK_SHARE * reachable)
        self._stuck = (found[0], found[1]) if len(found[0]) <= MOST_STUCK * pixels.size else None

    def _neighbours(
        self, pixels: ThermalPixels, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
    ) -> npt.NDArray[Any]:
        height, width = pixels.shape
        around = [
            pixels[np.clip(rows + y, 0, height - 1), np.clip(columns + x, 0, width - 1)]
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
            if (y, x) != (0, 0)
        ]
        # The lower middle one of eight: a count that occurs, also beside a second stuck pixel.
        return np.asarray(np.sort(np.stack(around), axis=0)[3])


class Stripes:
    """Takes fixed offsets of columns and rows out; in frame order, from one thread.

    An offset is the median, along its column or row, of the difference to the smoothed frame:
    edges of the scene rarely run along most of one. It moves slowly and is limited, because
    those that do (a pole, the horizon) must stay.
    """

    def __init__(self) -> None:
        self._offsets: list[Any] = [None, None]
        self._time_s = 0.0

    def apply(self, pixels: ThermalPixels, time_s: float) -> ThermalPixels:
        """Correct one frame.

        Args:
            pixels: HxW, uint8 or uint16; never written to.
            time_s: presentation time; running back starts anew.

        Returns:
            HxW of the same dtype, owned by the caller.
        """
        elapsed_s = time_s - self._time_s
        self._time_s = time_s
        low, high = np.percentile(pixels[::4, ::4], [1, 99])
        limit = STRIPE_LIMIT * max(float(high - low), 1.0)
        corrected = pixels.astype(np.float32)
        for axis in (0, 1):
            step = max(1, pixels.shape[axis] // STRIPE_SAMPLES)
            few = np.ascontiguousarray(corrected[::step] if axis == 0 else corrected[:, ::step].T)
            measured = np.clip(_offsets(few), -limit, limit)
            before = self._offsets[axis]
            if before is None or len(before) != len(measured) or elapsed_s < 0:
                self._offsets[axis] = measured
            else:
                keep = math.exp(-elapsed_s / STRIPE_MEMORY_S)
                self._offsets[axis] = keep * before + (1 - keep) * measured
            offsets = self._offsets[axis].astype(np.float32)
            corrected -= offsets[None, :] if axis == 0 else offsets[:, None]
        top = np.iinfo(pixels.dtype).max
        result: Any = np.clip(corrected.round(), 0, top).astype(pixels.dtype)
        return result  # type: ignore[no-any-return]


def _offsets(lines: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Offset of each column of a few lines against its surroundings."""
    smooth: Any = cv2.blur(lines, (STRIPE_WINDOW, 1), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(np.median(lines - smooth, axis=0))
