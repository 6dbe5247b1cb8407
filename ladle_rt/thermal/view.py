"""The thermal picture for people."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import Frame
from ladle_rt.thermal.normalization import LevelTracker, ThermalNormalization, apply_levels
from ladle_rt.thermal.palettes import PALETTES, palette_table

LEVELS_SIDE = 160
"""Levels are measured on at most about so many samples along each side."""


class ThermalView:
    """Shows frames with the model's own normalisation, in a palette.

    Call `rgb` in frame order, from one thread; `palette` may be changed from any other.
    """

    def __init__(
        self, spec: ThermalNormalization, palette: str = "white-hot", smoothing_s: float = 1.0
    ) -> None:
        """
        Args:
            spec: the model's normalisation.
            palette: one of `PALETTES`.
            smoothing_s: time constant of the levels, seconds.

        Raises:
            ConfigError: no such palette.
        """
        self._spec = spec
        self._tracker = LevelTracker(spec, smoothing_s)
        palette_table(palette)
        self._palette = palette

    @property
    def palette(self) -> str:
        """The palette in use."""
        return self._palette

    @palette.setter
    def palette(self, name: str) -> None:
        palette_table(name)
        self._palette = name

    def next_palette(self) -> str:
        """Go over to the next palette and name it."""
        self._palette = PALETTES[(PALETTES.index(self._palette) + 1) % len(PALETTES)]
        return self._palette

    def rgb(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """One frame.

        Args:
            frame: HxW, uint8 or uint16.

        Returns:
            HxWx3 uint8, sRGB, owned by the caller.
        """
        pixels = frame.pixels
        rows, columns = (max(1, side // LEVELS_SIDE) for side in pixels.shape)
        few: Any = np.ascontiguousarray(pixels[::rows, ::columns])
        levels = self._tracker.update(few, frame.time_s)
        unit = apply_levels(pixels, levels, self._spec)
        bytes_: Any = cv2.convertScaleAbs(unit, alpha=255)
        table = palette_table(self._palette)
        planes = [cv2.LUT(bytes_, np.ascontiguousarray(table[:, channel])) for channel in range(3)]
        merged: Any = cv2.merge(planes)
        return merged  # type: ignore[no-any-return]
