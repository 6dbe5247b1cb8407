"""What the passing of time means for a frame's levels and its steadiness; on the host."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from ladle_rt.errors import ConfigError
from ladle_rt.translate.steady import LONGEST_GAP_S

LAYOUT = struct.Struct("=fi")
"""``FrameClock`` in ``common.cu``."""


class FrameClock(NamedTuple):
    """What the kernels are told of one frame."""

    follow: float
    """Share of the way from the levels so far to the measured ones, 0 to 1; 1 takes them over."""
    begins: bool
    """The picture before is none to be compared with."""

    def pack(self) -> bytes:
        """As the kernels read it."""
        return LAYOUT.pack(self.follow, self.begins)


class Clock:
    """Follows the frames' times; in frame order, from one thread.

    Args:
        smoothing_s: time constant of the thermal levels, seconds; 0 follows every frame at once.

    Raises:
        ConfigError: a negative time constant.
    """

    def __init__(self, smoothing_s: float) -> None:
        if not smoothing_s >= 0:
            raise ConfigError(f"smoothing_s must be >= 0, received {smoothing_s}")
        self._smoothing_s = smoothing_s
        self.levels_s: float | None = None
        """When the levels were last updated; ``None``: never."""
        self._shown_s: float | None = None

    def tick(self, time_s: float) -> FrameClock:
        """One frame, by its presentation time in seconds."""
        before_s, shown_s = self.levels_s, self._shown_s
        self.levels_s = self._shown_s = time_s
        # As LevelTracker and MotionGate.
        begins = shown_s is None or not 0 <= time_s - shown_s <= LONGEST_GAP_S
        if before_s is None or self._smoothing_s == 0 or time_s < before_s:
            return FrameClock(1.0, begins)
        return FrameClock(-math.expm1((before_s - time_s) / self._smoothing_s), begins)

    def resume_levels(self, time_s: float | None) -> None:
        """Go on from levels of that time, or of none; what was shown before is another's."""
        self.levels_s = time_s
        self.forget_shown()

    def forget_shown(self) -> None:
        """Let the next picture be compared with nothing."""
        self._shown_s = None
