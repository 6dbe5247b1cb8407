"""Frames that show what the one before them showed need no network."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ladle_rt.frames import Frame, PreparedFrame, ThermalPixels

THUMBNAIL = (32, 24)
"""Width and height that frames are compared at: averaging takes most of the sensor's noise out."""
LIMIT = 0.02
"""Largest change anywhere in the thumbnail that counts as none, share of the frame's span."""
LONGEST_S = 1.0
"""Even a still scene is translated so often."""


class SkipUnchanged:
    """Holds the picture while the thermal frame stays as it was when it was last translated."""

    def __init__(self) -> None:
        self._reference: Any = None
        self._kind: tuple[Any, ...] = ()
        self._time_s = 0.0

    def __call__(self, frame: Frame) -> PreparedFrame:
        """Hold or pass on one frame; in frame order.

        Args:
            frame: HxW, uint8 or uint16.
        """
        kind = (frame.pixels.shape, frame.pixels.dtype)
        small = _thumbnail(frame.pixels)
        if kind == self._kind and 0 <= frame.time_s - self._time_s < LONGEST_S:
            span = max(float(small.max() - small.min()), 8.0)
            if float(np.abs(small - self._reference).max()) <= LIMIT * span:
                return PreparedFrame(frame, "unchanged")
        self._reference, self._kind, self._time_s = small, kind, frame.time_s
        return PreparedFrame(frame)


def _thumbnail(pixels: ThermalPixels) -> Any:
    small: Any = cv2.resize(pixels, THUMBNAIL, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)
