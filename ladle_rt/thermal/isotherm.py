"""Isotherms: which pixels of a frame are hot, read from the counts and never from the colours.

A network paints what it has learned to paint, and a person may vanish in its colours; counts do
not forget anybody. Percentiles follow a video slowly, as thermal levels do, so that the marked
region does not flicker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.config import Isotherm
from ladle_rt.errors import InputError
from ladle_rt.frames import Frame
from ladle_rt.geometry import samples

SAMPLES_PER_SIDE = 256
"""Percentiles are taken from at most about so many samples along each side."""


class IsothermSwitch:
    """Whether hot regions are marked; read and changed from any thread."""

    def __init__(self, isotherm: Isotherm | None = None) -> None:
        """
        Args:
            isotherm: what is marked, from the first picture on; ``None``: `Isotherm`'s own
                defaults once it is switched on.
        """
        self.isotherm = isotherm or Isotherm()
        self.on = isotherm is not None

    def turn(self, on: bool) -> None:
        """Mark hot regions from the next picture on, or no more."""
        self.on = on


@dataclass(frozen=True, slots=True)
class HotRegion:
    """The marked pixels of one frame."""

    mask: npt.NDArray[np.bool_]
    """HxW, the frame's size."""
    heat: npt.NDArray[np.uint8]
    """HxW; where ``mask`` is set from 128 at the isotherm to 255 at the hottest pixel."""


class IsothermReader:
    """Finds the hot region of frames; in frame order, from one thread."""

    def __init__(self, isotherm: Isotherm, smoothing_s: float = 1.0) -> None:
        """
        Args:
            isotherm: what is hot.
            smoothing_s: time constant of a percentile, seconds; 0: every frame by itself.
        """
        self._isotherm = isotherm
        self._smoothing_s = smoothing_s
        self._level: float | None = None
        self._kind: tuple[Any, ...] = ()
        self._time_s = 0.0

    def read(self, frame: Frame) -> HotRegion | None:
        """The hot region of one frame; ``None`` where nothing is hot.

        Args:
            frame: HxW, uint8 or uint16; only read.

        Raises:
            InputError: degrees of a source that does not know temperatures.
        """
        counts = frame.pixels if frame.counts is None else frame.counts
        few = samples(counts, SAMPLES_PER_SIDE)
        level = self._counts(frame, few)
        # The coldest pixels are never hot, in a flat frame either.
        least = max(math.ceil(level), int(few.min()) + 1)
        mask = counts >= least
        if not mask.any():
            return None
        top = max(int(counts.max()), least + 1)
        heat = np.zeros(counts.shape, np.uint8)
        heat[mask] = 128 + (counts[mask].astype(np.float32) - least) * (127 / (top - least))
        return HotRegion(mask, heat)

    def _counts(self, frame: Frame, few: npt.NDArray[Any]) -> float:
        value, unit = self._isotherm.value, self._isotherm.unit
        if unit == "counts":
            return value
        if unit == "celsius":
            if frame.celsius is None:
                raise InputError(
                    f"an isotherm of {value:g} degrees C needs a source that knows temperatures, "
                    "and this one does not; give a percentile such as 98% or counts such as 30000"
                )
            return frame.celsius.counts(value)
        return self._follow(frame, float(np.percentile(few, value)))

    def _follow(self, frame: Frame, measured: float) -> float:
        kind = (frame.pixels.dtype, frame.pixels.shape)
        elapsed_s, self._time_s = frame.time_s - self._time_s, frame.time_s
        if self._level is None or self._smoothing_s == 0 or kind != self._kind or elapsed_s < 0:
            self._level, self._kind = measured, kind
        else:
            keep = math.exp(-elapsed_s / self._smoothing_s)
            self._level = keep * self._level + (1 - keep) * measured
        return self._level
