"""Thermal pictures as callers have them: checked, and as the counts that everything else takes.

A caller's array is HxW or HxWx1, uint8, uint16 or of floats. The integers are counts as they
are. Floats may be degrees, kelvins or shares of one: the thermal normalisation stretches each
picture between its own percentiles, so only their order and proportions matter, and they are
laid over the 65536 counts of uint16 in a straight line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.errors import ConfigError, InputError
from ladle_rt.frames import ThermalPixels
from ladle_rt.geometry import strips
from ladle_rt.thermal.validity import LARGEST_VALUE, ValidScene, missing_values

Plane = npt.NDArray[Any]
"""HxW, as the caller has it; checked."""

Range = tuple[float, float]
"""Values that become the smallest and the largest count."""

LARGEST_COUNT = 65535
COLOUR_CHANNELS = (3, 4)


def check_plane(array: object, name: str) -> Plane:
    """One thermal picture, looked over but not yet converted.

    Args:
        array: HxW or HxWx1; uint8, uint16 (any byte order) or floats; NaN and infinities are
            pixels without a value.
        name: what to call it in messages.

    Returns:
        HxW, a view of ``array``.

    Raises:
        InputError: not a NumPy array, another shape or dtype, no pixels, a colour picture, or
            values none of which is finite.
    """
    checked = _check_array(array, name)
    if checked.ndim == 3 and checked.shape[-1] == 1:
        checked = checked[..., 0]
    if checked.ndim != 2:
        raise InputError(f"{name}: expected HxW or HxWx1, received {_shape(checked)}")
    return _check_values(checked, name)


def check_planes(array: object) -> tuple[list[Plane], bool]:
    """The pictures of an array that holds one or, as [N,H,W] or [N,H,W,1], many.

    Returns:
        Views of HxW, as `check_plane` gives them, and whether it was an array of many.

    Raises:
        InputError: as `check_plane`.
    """
    checked = _check_array(array, "thermal")
    single = checked.ndim == 2 or (checked.ndim == 3 and checked.shape[-1] == 1)
    if single:
        return [check_plane(checked, "thermal")], False
    if checked.ndim == 3 or (checked.ndim == 4 and checked.shape[-1] == 1):
        return [check_plane(one, f"thermal[{n}]") for n, one in enumerate(checked)], True
    raise InputError(f"thermal: expected HxW, HxWx1 or a batch of them, received {_shape(checked)}")


def _check_array(array: object, name: str) -> Plane:
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"{name}: expected a NumPy array, received {type(array).__name__}; "
            "convert it with numpy.asarray"
        )
    if array.ndim > 2 and array.shape[-1] in COLOUR_CHANNELS:
        raise InputError(
            f"{name}: expected thermal intensities, HxW, received {_shape(array)}, a colour "
            "picture; where it is grey, give one channel: image[..., 0]"
        )
    if array.size == 0:
        raise InputError(f"{name}: expected pixels, received an empty array, {_shape(array)}")
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind != "f" and not (kind == "u" and size <= 2):
        raise InputError(
            f"{name}: expected uint8, uint16 or float32, received {array.dtype}; "
            "convert it with .astype"
        )
    return array


def _check_values(plane: Plane, name: str) -> Plane:
    if plane.dtype.kind == "f" and not (np.abs(plane) < LARGEST_VALUE).any():
        raise InputError(f"{name}: expected numbers, received only NaN and infinities")
    return plane


def _shape(array: Plane) -> str:
    return "x".join(map(str, array.shape)) or "a single number"


def check_range(values: Range) -> None:
    """Refuse a range that is none.

    Raises:
        ConfigError: not finite, or the first value is not below the second.
    """
    low, high = values
    if not -math.inf < low < high < math.inf:
        raise ConfigError(
            f"a fixed range must satisfy low < high, both finite, received {low:g} and {high:g}"
        )


def to_counts(plane: Plane, value_range: Range | None = None) -> ThermalPixels:
    """Values by a straight line, clipped at its ends; integers without a range as they are.

    Args:
        plane: HxW, as `check_plane` gives it.
        value_range: values that become 0 and 65535; ``None``: of floats the own extremes.

    Returns:
        HxW uint8 or uint16 of native byte order, C-contiguous; a view where ``plane`` is so
        already. A flat picture of floats is all 0.
    """
    if plane.dtype.kind == "u" and value_range is None:
        native = plane.dtype.newbyteorder("=")
        integers: ThermalPixels = np.ascontiguousarray(plane, dtype=native)
        return integers
    low, high = _extremes(plane) if value_range is None else value_range
    counts = np.empty(plane.shape, np.uint16)
    for rows in strips(*plane.shape):
        # The span of two float32 may be more than a float32 holds.
        values = plane[rows].astype(np.float64)
        values -= low
        values *= LARGEST_COUNT / (high - low) if high > low else 0.0
        counts[rows] = np.rint(values.clip(0, LARGEST_COUNT))
    return counts


def scene_counts(
    plane: Plane, counts: Callable[[Plane], ThermalPixels], valid: ValidScene
) -> ThermalPixels:
    """Counts of a picture in which pixels that are not scene have a level of the scene.

    Args:
        plane: HxW, as `check_plane` gives it; never written to.
        counts: `to_counts` or `FloatRange.counts`.
        valid: fills and warns.

    Returns:
        What ``counts`` returns, where everything is scene; else a new array.
    """
    missing = missing_values(plane) if plane.dtype.kind == "f" else None
    if missing is not None:
        plane = plane.copy()
        plane[missing] = np.median(plane[~missing])
    return valid.apply(counts(plane), missing)


class FloatRange:
    """The range for a stream of pictures, in which equal values should stay equal counts.

    It begins with the first picture and as much again on either side, and widens in the same
    way, over all that was seen, when a picture leaves it: as rarely as another scene begins.
    Call it in the order of the pictures, from one thread.
    """

    def __init__(self) -> None:
        self._range: Range | None = None

    @property
    def line(self) -> Range:
        """The value of count 0 and the step to the next count, of the last picture of floats."""
        low, high = self._range or (0.0, 0.0)
        # Flat pictures are all 0; any step is right for them.
        return low, (high - low) / LARGEST_COUNT or 1.0

    def counts(self, plane: Plane) -> ThermalPixels:
        """`to_counts` of the next picture; wide or signed integers are values like floats."""
        counted = plane.dtype.kind == "u" and plane.itemsize <= 2
        return to_counts(plane, None if counted else self._cover(plane))

    def _cover(self, plane: Plane) -> Range:
        low, high = _extremes(plane)
        if self._range is None or low < self._range[0] or high > self._range[1]:
            if self._range is not None:
                low, high = min(low, self._range[0]), max(high, self._range[1])
            self._range = low - (high - low), high + (high - low)
        return self._range


def _extremes(plane: Plane) -> Range:
    return float(plane.min()), float(plane.max())
