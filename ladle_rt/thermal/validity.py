"""Pixels that are not scene: no-data values, borders, what lies outside round optics.

They must not set the thermal levels: three per cent of zeros beside counts around 22000 would
turn the scene into one shade. So they are found and given a level of the scene, before any
translator, on a CPU or a GPU, measures the frame; a frame without them passes as it is.
"""

from __future__ import annotations

import itertools
import logging
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import ThermalPixels
from ladle_rt.geometry import strips

logger = logging.getLogger("ladle_rt")

Mask = npt.NDArray[np.bool_]
"""HxW; true where a pixel is not scene."""

LARGEST_COUNT = 65_535
ISOLATED = 0.25
"""An end of the range is no measurement when nothing lies nearer to it than this share of the
span of the others: histograms of scenes run out towards their ends."""
NEIGHBOURS = (0.02, 0.5, 99.5, 99.98)
"""Percentiles of the others: nearest to the ends but for a few dead pixels, and their span."""
MARKS = frozenset({0.0, -1.0, -999.0, -9999.0, -99999.0, -32768.0, 32767.0, 65535.0, 9999.0})
"""Usual marks for no data among floats and signed integers, beside NaN."""
FLAT = {1: 2, 2: 8}
"""By bytes of a sample: a border varies by so many counts, after lossy compression too."""
STEP_SHARE = 0.05
"""At a border's inner edge at most this share is as dark: a clipped sky fades out instead."""
DARK_SHARE = 0.95
"""So much of a line of the border is dark; the rest is ringing or text."""
SYMMETRY = 0.8
"""Overlap of dark corners with their mirror images, from which they are optics."""
SMALLEST_OPTICS = 0.01
MOST_BORDER = 0.5
"""Dark in more than this share is the scene: something hot before a clipped sky or ground."""
LARGEST_VALUE = 1e38
"""Floats beyond it are marks for no data, such as the largest float."""
TAIL = 0.5
"""Per cent at either end that the levels leave out; see `ThermalNormalization`."""
LARGE_SHARE = 0.1
"""From this share of invalid pixels on there is a warning."""
REACHED = 2
"""Mark of dark pixels that hang together with a corner; the others are 1."""
SATURATED_SHARE = 0.02
"""Up to this share of largest counts is something too hot for the sensor, not a border."""


def invalid_pixels(pixels: ThermalPixels) -> Mask | None:
    """Find what is not scene.

    Args:
        pixels: HxW, uint8 or uint16.

    Returns:
        Where; ``None`` if everything is scene, and also if nothing is.
    """
    masks = [_dark_border(pixels)]
    if pixels.dtype == np.uint16:
        masks.append(_isolated_end(pixels, 0))
        masks.append(_isolated_end(pixels, LARGEST_COUNT))
    found = [mask for mask in masks if mask is not None]
    if not found:
        return None
    merged: Mask = np.logical_or.reduce(found)
    return None if merged.all() else merged


def missing_values(values: npt.NDArray[Any]) -> Mask | None:
    """Find what is no measurement among signed integers or floats.

    Args:
        values: HxW.

    Returns:
        True for NaN, infinities, and one of `MARKS` at an end of the range, far from everything
        else; ``None`` if there are none.
    """
    missing: Mask = np.zeros(values.shape, np.bool_)
    if values.dtype.kind == "f":
        for rows in strips(*values.shape):
            # Of 16 bits the bound would be infinite.
            part = values[rows].astype(np.float32) if values.itemsize == 2 else values[rows]
            missing[rows] = ~(np.abs(part) < LARGEST_VALUE)
    if not missing.all():
        numbers = values[~missing]
        for end in {float(numbers.min()), float(numbers.max())} & MARKS:
            mask = _isolated_end(values, end, ~missing)
            if mask is not None:
                missing = missing | mask
    return missing if missing.any() else None


def fill_invalid(pixels: ThermalPixels, invalid: Mask) -> ThermalPixels:
    """Give pixels that are not scene a level of the scene.

    Args:
        pixels: HxW, uint8 or uint16; never written to.
        invalid: HxW; at least one pixel is valid.

    Returns:
        A new array: the median of the valid pixels in place of the others, and in a few of them
        (the first and the last) their extremes, so that the percentiles which set the levels
        are those of the valid pixels; a few saturated ones stay the hottest.
    """
    coldest, middle, hottest = np.percentile(
        pixels[~invalid], (TAIL / 2, 50, 100 - TAIL / 2), method="lower", overwrite_input=True
    )
    size = np.count_nonzero(invalid)
    tail = round(TAIL / 100 * size)
    values = np.full(size, middle, pixels.dtype)
    values[:tail], values[size - tail :] = coldest, hottest
    filled: ThermalPixels = pixels.copy()
    filled[invalid] = values
    if pixels.dtype == np.uint16:
        saturated = invalid & (pixels == LARGEST_COUNT)
        if 0 < np.count_nonzero(saturated) <= SATURATED_SHARE * pixels.size:
            filled[saturated] = pixels[~invalid].max()
    return filled


class ValidScene:
    """Fills what is not scene, frame by frame, and warns once where that is much."""

    def __init__(self, name: str) -> None:
        """
        Args:
            name: what to call the input in the warning.
        """
        self._name = name
        self._warned = False

    def apply(self, pixels: ThermalPixels, invalid: Mask | None = None) -> ThermalPixels:
        """One frame.

        Args:
            pixels: HxW, uint8 or uint16; never written to.
            invalid: HxW, what is known beforehand not to be scene (NaN, transparent).

        Returns:
            The same array where everything is scene, or nothing, else a new one.
        """
        found = invalid_pixels(pixels)
        if invalid is not None and invalid.any():
            found = invalid if found is None else found | invalid
        if found is None:
            return pixels
        share = float(np.mean(found))
        if share == 1:
            return pixels
        if share >= LARGE_SHARE and not self._warned:
            self._warned = True
            logger.warning(
                "%s: %.0f %% of the picture is not scene (no-data values, borders, optics) and is "
                "left out of the thermal levels; --crop X,Y,W,H cuts it off",
                self._name,
                100 * share,
            )
        return fill_invalid(pixels, found)


def _isolated_end(values: npt.NDArray[Any], end: Any, among: Mask | None = None) -> Mask | None:
    """Pixels of one value at an end of the range, if no scene comes near it."""
    mask: Mask = values == end
    if not mask.any():
        return None
    others = values[~mask if among is None else among & ~mask]
    if not others.size:
        return None
    percentiles = np.percentile(others, NEIGHBOURS, overwrite_input=True)
    first, low, high, last = (float(value) for value in percentiles)
    gap = first - float(end) if float(end) < low else float(end) - last
    # Two values alone are no scene with a mark, unless they are counts of 16 bits.
    counts = values.dtype == np.uint16
    return mask if (high > low or counts) and gap > ISOLATED * (high - low) else None


def _dark_border(pixels: ThermalPixels) -> Mask | None:
    """Straight black edges and symmetric black corners."""
    darkest = int(pixels.min()) + FLAT[pixels.itemsize]
    # Nearly every frame ends here: only its outermost lines are looked at.
    corners = bool((pixels[:: len(pixels) - 1 or 1, :: len(pixels[0]) - 1 or 1] <= darkest).all())
    lines = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    shares = (np.count_nonzero(line <= darkest) / line.size for line in lines)
    if not corners and all(share < DARK_SHARE for share in shares):
        return None
    dark: Mask = pixels <= darkest
    rows, columns = (_edges(dark.mean(axis=axis)) for axis in (1, 0))
    mask: Mask = np.ones_like(dark)
    mask[rows, columns] = False
    if corners and (optics := _symmetric_corners(dark)) is not None:
        mask |= optics
    return mask if 0 < mask.mean() <= MOST_BORDER else None


def _edges(share: npt.NDArray[Any]) -> slice:
    """The lines between two straight borders, from the dark share of every line."""
    first, last = 0, len(share)
    while first < last and share[first] >= DARK_SHARE:
        first += 1
    while last > first and share[last - 1] >= DARK_SHARE:
        last -= 1
    if first == last:
        return slice(0, len(share))
    # A border on both sides frames the picture; one alone must end in a step.
    framed = 0 < first and last < len(share)
    if not framed and 0 < first and share[first] > STEP_SHARE:
        first = 0
    if not framed and last < len(share) and share[last - 1] > STEP_SHARE:
        last = len(share)
    return slice(first, last)


def _symmetric_corners(dark: Mask) -> Mask | None:
    """Dark areas in all four corners that mirror each other."""
    filled = dark.astype(np.uint8)
    height, width = filled.shape
    for corner in itertools.product((0, width - 1), (0, height - 1)):
        cv2.floodFill(filled, None, corner, REACHED)
    area: Mask = filled == REACHED
    for mirrored in (area[::-1], area[:, ::-1]):
        if np.count_nonzero(area & mirrored) < SYMMETRY * np.count_nonzero(area | mirrored):
            return None
    return area if SMALLEST_OPTICS <= area.mean() < 1 else None
