"""The thermal picture for people."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import TranslatedFrame
from ladle_rt.geometry import samples
from ladle_rt.thermal.normalization import ThermalNormalization, apply_levels, measure_levels
from ladle_rt.thermal.palettes import PALETTES, in_palette, palette_table

LEVELS_SIDE = 160
"""Levels are measured on at most about so many samples along each side."""


class ThermalView:
    """Shows frames as the network saw them, in a palette; usable from any thread."""

    def __init__(self, spec: ThermalNormalization, palette: str = "white-hot") -> None:
        """
        Args:
            spec: the model's normalisation.
            palette: one of `PALETTES`.

        Raises:
            ConfigError: no such palette.
        """
        self._spec = spec
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

    def rgb(self, translated: TranslatedFrame) -> npt.NDArray[np.uint8]:
        """One frame.

        Args:
            translated: with the thermal image and its levels; without one the frame's own are
                measured.

        Returns:
            HxWx3 uint8, sRGB, owned by the caller.
        """
        thermal = translated.thermal
        pixels = translated.frame.pixels if thermal is None else thermal.pixels
        if thermal is None:
            few = np.ascontiguousarray(samples(pixels, LEVELS_SIDE))
            levels = measure_levels(few, self._spec)
        else:
            levels = thermal.levels
        unit = apply_levels(pixels, levels, self._spec)
        return in_palette(cv2.convertScaleAbs(unit, alpha=255), self._palette)
