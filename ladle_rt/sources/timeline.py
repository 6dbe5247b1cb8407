"""Strictly increasing presentation times from whatever a container says."""

from __future__ import annotations

import logging
import math
from fractions import Fraction

logger = logging.getLogger("ladle_rt")

JUMP_FRAMES = 3
"""A step back of more than so many frames is a joined recording, not jitter."""


class Timeline:
    """Places frames in time: each later than the one before, known times kept as they are."""

    def __init__(self, name: str, rate: Fraction, time_base: Fraction) -> None:
        """
        Args:
            name: what to call the input in warnings.
            rate: frames per second, for frames without a time.
            time_base: seconds per tick.
        """
        self._name = name
        self._time_base = time_base
        self._ticks_per_frame = 1 / (rate * time_base)
        self._expected = Fraction(0)
        self._last: int | None = None
        self._shift = 0
        self._nudged = False

    def place(self, pts: int | None) -> int:
        """The time of the next frame, in ticks.

        Args:
            pts: the time the container gives, or ``None``: continues at the frame rate.
        """
        if pts is None:
            placed = round(self._expected)
            exact = self._expected
        else:
            placed = pts + self._shift
            exact = Fraction(placed)
        if self._last is not None and placed <= self._last:
            placed = self._after_last(placed)
            exact = Fraction(placed)
        self._last = placed
        self._expected = exact + self._ticks_per_frame
        return placed

    def _after_last(self, placed: int) -> int:
        assert self._last is not None
        back = self._last - placed
        if back > JUMP_FRAMES * self._ticks_per_frame:
            logger.warning(
                "%s: time jumps back by %.1f s; the video goes on without the jump",
                self._name,
                float(back * self._time_base),
            )
            resumed = self._last + max(1, math.ceil(self._ticks_per_frame))
            self._shift += resumed - placed
            return resumed
        if not self._nudged:
            self._nudged = True
            logger.warning(
                "%s: some frames do not come later than the one before; each is moved "
                "forward by one tick",
                self._name,
            )
        return self._last + 1
