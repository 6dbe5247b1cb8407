"""What live benchmarks share: a paced source without a camera, and slopes with intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType

import numpy as np

from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.sources.base import SourceInfo

TICK = Fraction(1, 1_000_000)
BLOCKS = 20
"""A series is averaged over so many stretches, which makes neighbours nearly independent."""
T_975_18 = 2.101
"""Student's t, 97.5 %, 18 degrees of freedom."""


class PacedFrames:
    """A live `Source` that repeats a few frames at a rate; never slower than asked for."""

    def __init__(self, frames: Sequence[ThermalPixels], fps: float, count: int) -> None:
        """
        Args:
            frames: HxW each, repeated in turn.
            fps: frames per second; infinity delivers without waiting.
            count: how many are delivered.
        """
        height, width = frames[0].shape
        self._frames, self._fps, self._count = frames, fps, count
        rate = Fraction(30) if math.isinf(fps) else Fraction(fps).limit_denominator(1001)
        self.info = SourceInfo(width, height, TICK, rate, live=True, name="paced frames")

    def __iter__(self) -> Iterator[Frame]:
        begin_s = time.monotonic()
        for number in range(self._count):
            ahead_s = begin_s + number / self._fps - time.monotonic()
            if ahead_s > 0:
                time.sleep(ahead_s)
            pts = round(number / min(self._fps, 1e6) / TICK)
            pixels = self._frames[number % len(self._frames)]
            yield Frame(pixels, number, time.monotonic_ns(), pts, TICK)

    def close(self) -> None:
        """Nothing to release."""

    def __enter__(self) -> PacedFrames:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of a series over a run, with its 95 % interval."""

    total: float
    """Change from begin to end by the fitted line, in the series' unit."""
    low: float
    high: float

    @property
    def is_zero(self) -> bool:
        """Whether no change is within the interval."""
        return self.low <= 0 <= self.high


def slope(values: Sequence[float]) -> Slope:
    """Least squares over `BLOCKS` block means, interval by Student's t.

    Args:
        values: evenly spaced in time, at least `BLOCKS`.
    """
    means = np.array([block.mean() for block in np.array_split(np.asarray(values, float), BLOCKS)])
    x = np.linspace(-0.5, 0.5, BLOCKS)
    gain = float((x * means).sum() / (x * x).sum())
    rest = means - means.mean() - gain * x
    error = math.sqrt(float((rest * rest).sum()) / (BLOCKS - 2) / float((x * x).sum()))
    return Slope(gain, gain - T_975_18 * error, gain + T_975_18 * error)
