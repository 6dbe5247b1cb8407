"""How the thermal scene is taken out of the pictures that an input delivers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.errors import ConfigError, InputError
from ladle_rt.frames import ThermalPixels
from ladle_rt.temperature import KELVIN_64, CelsiusScale, PlanckScale, Temperatures
from ladle_rt.thermal.arrays import FloatRange
from ladle_rt.thermal.polarity import Polarity, PolaritySwitch, check_polarity, invert
from ladle_rt.thermal.sensors import picture_half, picture_rows, telemetry_rows
from ladle_rt.thermal.unpalette import PaletteReader, check_from_palette
from ladle_rt.thermal.validity import Mask, ValidScene, missing_values

STACK_OF_64THS = (384, 256)
"""Rows and columns of picture and counts in 64ths of a kelvin (TC001, P2 Pro)."""

logger = logging.getLogger("ladle_rt.input")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What an input holds, where it does not say so itself."""

    polarity: Polarity = "white-hot"
    """What is bright: hot things, cold things, or whatever the first picture looks like."""
    from_palette: str | None = None
    """Turn coloured pictures back into levels: a palette of `FROM_PALETTES`, or ``auto``."""
    crop: tuple[int, int, int, int] | None = None
    """X, Y, width and height of the scene, pixels of the picture as delivered."""
    mask: Path | None = None
    """An image as large as the scene, black where there is none: text, bars, optics."""
    track: int | str | None = None
    """Video track of a file, counted from 0, or ``thermal``; ``None``: the first."""
    raw_size: tuple[int, int] | None = None
    """Width and height of raw 16-bit dumps (``.y16``, ``.raw``), which do not say them."""
    recursive: bool = False
    """Images of sub-folders too."""
    temperature: CelsiusScale | None = None
    """Degrees of the values as delivered (see `ladle_rt.temperature.parse_scale`); ``None``: what
    the input says itself."""

    def __post_init__(self) -> None:
        check_polarity(self.polarity)
        if self.from_palette is not None:
            check_from_palette(self.from_palette)
        if self.crop is not None and not (min(self.crop[:2]) >= 0 and min(self.crop[2:]) > 0):
            raise ConfigError(
                "crop must be X,Y,W,H with X and Y >= 0, W and H > 0, "
                f"received {','.join(map(str, self.crop))}"
            )
        if self.raw_size is not None and not min(self.raw_size) > 0:
            raise ConfigError("raw_size must be > 0, received {}x{}".format(*self.raw_size))
        if isinstance(self.track, str) and self.track != "thermal":
            raise ConfigError(f"track must be a number or thermal, received {self.track!r}")
        if isinstance(self.track, int) and self.track < 0:
            raise ConfigError(f"track must be >= 0, received {self.track}")


def live_palette(options: ReadOptions, name: str) -> PaletteReader | None:
    """What turns the colours of a live input into levels; ``None`` where it delivers levels."""
    if options.from_palette is None:
        return None
    return PaletteReader(options.from_palette, name, options.crop)


class SceneReader:
    """Pictures of one input in, scenes out: cut, valid, white-hot. In order, from one thread."""

    def __init__(
        self, options: ReadOptions, name: str, mask: Mask | None = None, *, live: bool = False
    ) -> None:
        """
        Args:
            options: what the input holds.
            name: what to call it in messages.
            mask: HxW of the scene, true where there is none; ``options.mask``, read.
            live: the size must be known before the first picture, so telemetry is told from
                the shape alone, see `size`.
        """
        self._options, self._name, self._mask, self._live = options, name, mask, live
        self._range = FloatRange()
        self._valid = ValidScene(name)
        self._rows: dict[tuple[int, ...], slice] = {}
        self._switch = PolaritySwitch(options.polarity, name)
        self._palette = live_palette(options, name)
        self._contradicted = self._stacked = False
        self.celsius: Temperatures | None = None
        """Degrees of the counts of the scene that was read last, where they are known."""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the scenes of a live input.

        Raises:
            InputError: the crop does not fit.
        """
        if self._options.crop is not None:
            self._check_crop(width, height)
            return self._options.crop[2:]
        return width, height - telemetry_rows(width, height)

    def read(
        self,
        plane: npt.NDArray[Any],
        invalid: Mask | None = None,
        celsius: Temperatures | None = None,
    ) -> ThermalPixels:
        """One picture.

        Args:
            plane: HxW, any real dtype; never written to. Larger is hotter, unless ``polarity``
                says otherwise.
            invalid: HxW, what is known beforehand not to be scene.
            celsius: degrees of the values, where the input says.

        Returns:
            HxW uint8 or uint16: the same array where nothing had to be done. `celsius` of this
            object says what its counts are.

        Raises:
            InputError: the crop or the mask does not fit, or nothing in it is a number.
        """
        plane = self._cut(plane)
        invalid = None if invalid is None else self._cut(invalid)
        if self._mask is not None:
            if self._mask.shape != plane.shape:
                raise InputError(
                    "{}: expected a mask as large as the scene, {}x{}, received {}x{}".format(
                        self._name, *plane.shape[::-1], *self._mask.shape[::-1]
                    )
                )
            invalid = self._mask if invalid is None else invalid | self._mask
        pixels, missing = self._counts(plane)
        if missing is not None:
            invalid = missing if invalid is None else invalid | missing
        valid = self._valid.apply(pixels, invalid)
        if self._options.temperature is not None:
            celsius = self._options.temperature
        elif celsius is None and self._stacked:
            celsius = KELVIN_64
        self.celsius = None if celsius is None else self._of_counts(celsius, plane)
        return self._switch.apply(valid) if self.celsius is None else self._hot_is_large(valid)

    def _of_counts(self, celsius: Temperatures, plane: npt.NDArray[Any]) -> Temperatures:
        """Degrees of the counts that `_counts` makes of values."""
        if isinstance(celsius, PlanckScale) or (plane.dtype.kind == "u" and plane.itemsize <= 2):
            return celsius
        if plane.dtype.kind == "i" and plane.itemsize <= 2:
            return celsius.rebased(float(np.iinfo(plane.dtype).min), 1)
        return celsius.rebased(*self._range.line)

    def _hot_is_large(self, pixels: ThermalPixels) -> ThermalPixels:
        """Where temperatures are known, they are what polarity is told by."""
        assert self.celsius is not None
        rises = self.celsius.rises
        if not self._contradicted and self._options.polarity == "black-hot" and rises:
            self._contradicted = True
            logger.warning(
                "%s: its temperatures say that larger counts are hotter; --polarity black-hot is "
                "not applied",
                self._name,
            )
        if rises:
            return pixels
        assert isinstance(self.celsius, CelsiusScale)
        self.celsius = self.celsius.rebased(float(np.iinfo(pixels.dtype).max), -1)
        return invert(pixels)

    def read_colours(self, rgb: npt.NDArray[np.uint8]) -> ThermalPixels:
        """One picture in a palette, with ``from_palette``.

        Args:
            rgb: HxWx3, sRGB.

        Raises:
            FalseColourError: ``auto`` knows no such palette.
            InputError: as `read`.
        """
        assert self._palette is not None
        return self.read(self._palette.levels(rgb))

    def _cut(self, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._options.crop is not None:
            self._check_crop(plane.shape[1], plane.shape[0])
            x, y, width, height = self._options.crop
            return np.ascontiguousarray(plane[y : y + height, x : x + width])
        if plane.shape not in self._rows:
            self._rows[plane.shape] = self._choose_rows(plane)
        rows = self._rows[plane.shape]
        return plane if rows == slice(0, len(plane)) else np.ascontiguousarray(plane[rows])

    def _check_crop(self, width: int, height: int) -> None:
        assert self._options.crop is not None
        x, y, across, down = self._options.crop
        if y + down > height or x + across > width:
            raise InputError(
                f"{self._name}: expected a crop within {width}x{height}, "
                f"received {x},{y},{across},{down}"
            )

    def _choose_rows(self, plane: npt.NDArray[Any]) -> slice:
        height = len(plane)
        if self._live:
            return slice(0, height - telemetry_rows(plane.shape[1], height))
        half = picture_half(plane)
        if half != slice(0, height):
            which = "raw counts, its lower" if half.start else "picture, its upper"
            logger.info("%s: a stacked frame; the %s half, is read", self._name, which)
            # Larger modules of the maker have other units.
            self._stacked = bool(half.start) and plane.shape == STACK_OF_64THS
            return half
        rows = picture_rows(plane)
        if rows != slice(0, height):
            logger.info(
                "%s: %d rows are telemetry and are cut off", self._name,
                height - (rows.stop - rows.start),
            )  # fmt: skip
        return rows

    def _counts(self, plane: npt.NDArray[Any]) -> tuple[ThermalPixels, Mask | None]:
        """Counts, and where there is no number."""
        kind, size = plane.dtype.kind, plane.dtype.itemsize
        if kind == "u" and size <= 2:
            native: Any = np.asarray(plane, plane.dtype.newbyteorder("="))
            return native, None
        if kind not in "iuf":
            raise InputError(f"{self._name}: expected numbers, received {plane.dtype}")
        missing = missing_values(plane)
        if missing is not None and missing.all():
            raise InputError(f"{self._name}: expected numbers, received only NaN and infinities")
        if kind == "i" and size <= 2:
            # From the smallest up: its sign bit is what differs from the counts above zero.
            sign = np.uint8(1 << 7) if size == 1 else np.uint16(1 << 15)
            native = np.asarray(plane, plane.dtype.newbyteorder("="))
            return native.view(sign.dtype) ^ sign, missing
        if missing is not None:
            plane = plane.copy()
            plane[missing] = np.median(plane[~missing], overwrite_input=True)
        return self._range.counts(plane), missing
