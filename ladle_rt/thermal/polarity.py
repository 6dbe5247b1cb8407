"""White-hot or black-hot: told from the sky and from what is hot, or not at all.

A clear sky is the coldest thing in a thermal picture, and hot things (people, engines, lamps) are
few and small. Where the smooth area at the top is instead the brightest, or the few small
extremes are dark, the picture is black-hot. Doubt leaves it as it is: an inverted good picture
would be worse than a wrong one, which its owner sees. None of the 980 white-hot pictures that the
thresholds were chosen on is flipped (road, campus, drone, forest, yard; day and night), and a fifth
of their inversions is found, nearly all by an open sky or a cold scene with lamps and engines. That
flatters: with thresholds chosen on the other cameras alone, 3 of the 980 are flipped, all from a
drone that looks down, where there is no sky. Of 2926 pictures that took no part in the choice, none
is flipped and 2 % are found (``benchmarks/polarity.py``). So ``auto`` is not the default.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.errors import ConfigError
from ladle_rt.frames import ThermalPixels

logger = logging.getLogger("ladle_rt.input")

Polarity = Literal["white-hot", "black-hot", "auto"]

SIDE = (160, 120)
"""Width and height at which a picture is judged."""
SMOOTH = 0.012
"""Gradient per pixel, of a range of 1, below which an area is smooth."""
SMALLEST_SKY = 0.03
"""Share of the picture."""
SKY_WIDTH = 0.6
"""Share of the upper edge that it takes."""
SKY_RANK = 0.9
"""It is hotter than this share of the rest."""
SKY_STEP = 0.3
"""The upper third is so much brighter than the lower half."""
SPOT_SIDE = 9
SPOT_HEIGHT = 0.25
"""Small extremes stand out by so much."""
SPOT_RATIO = 0.4
"""Natural logarithm of what dark ones must outweigh bright ones by."""
SKEWNESS = 3.4
"""Of the histogram, towards the dark: the bulk is bright and a few are dark."""


@dataclass(frozen=True, slots=True)
class PolarityGuess:
    """What a picture looks like."""

    polarity: Literal["white-hot", "black-hot"]
    """``white-hot`` on doubt."""
    sure: bool
    seen: str
    """Why, for people."""


@dataclass(frozen=True, slots=True)
class _Signs:
    sky_share: float
    sky_width: float
    sky_rank: float
    sky_step: float
    spot_ratio: float
    skewness: float


def check_polarity(polarity: str) -> None:
    """Refuse a word that is none.

    Raises:
        ConfigError: not white-hot, black-hot or auto.
    """
    if polarity not in get_args(Polarity):
        raise ConfigError(
            f"polarity must be one of {', '.join(get_args(Polarity))}, received {polarity!r}"
        )


def guess_polarity(pixels: ThermalPixels) -> PolarityGuess:
    """Judge one picture.

    Args:
        pixels: HxW, uint8 or uint16.
    """
    small: Any = cv2.resize(pixels.astype(np.float32), SIDE, interpolation=cv2.INTER_AREA)
    low, high = np.percentile(small, [1, 99])
    if high <= low:
        return PolarityGuess("white-hot", False, "nothing: the picture is flat")
    unit = ((small - low) / (high - low)).clip(0, 1).astype(np.float32)
    if (seen := _hot_is_dark(unit)) is not None:
        return PolarityGuess("black-hot", True, seen.format("bright", "dark"))
    if (seen := _hot_is_dark(1 - unit)) is not None:
        return PolarityGuess("white-hot", True, seen.format("dark", "bright"))
    return PolarityGuess("white-hot", False, "neither a clear sky nor small hot things")


def invert(pixels: ThermalPixels) -> ThermalPixels:
    """Black-hot intensities as white-hot ones, or the other way round.

    Returns:
        A new array of the same dtype, each count taken from the largest of the dtype.
    """
    inverted: ThermalPixels = np.invert(pixels)
    return inverted


class PolaritySwitch:
    """Makes the pictures of one input white-hot; ``auto`` judges the first and says so."""

    def __init__(self, polarity: Polarity, name: str) -> None:
        """
        Args:
            polarity: of the pictures.
            name: what to call the input.
        """
        self._name = name
        self._black_hot = None if polarity == "auto" else polarity == "black-hot"

    def apply(self, pixels: ThermalPixels) -> ThermalPixels:
        """One picture; the same array where nothing is inverted."""
        if self._black_hot is None:
            guess = guess_polarity(pixels)
            self._black_hot = guess.polarity == "black-hot"
            logger.info(
                "%s: taken as %s (%s): %s",
                self._name,
                guess.polarity,
                "sure" if guess.sure else "not sure, so nothing is inverted",
                guess.seen,
            )
        return invert(pixels) if self._black_hot else pixels


def _hot_is_dark(unit: npt.NDArray[np.float32]) -> str | None:
    signs = _signs(unit)
    if (
        signs.sky_share > SMALLEST_SKY
        and signs.sky_width > SKY_WIDTH
        and signs.sky_rank > SKY_RANK
        and signs.sky_step > SKY_STEP
    ):
        return f"a smooth sky that is {{0}}, beyond {signs.sky_rank:.0%} of the rest"
    if signs.spot_ratio < -SPOT_RATIO and signs.skewness < -SKEWNESS:
        return f"few and small {{1}} spots on {{0}} surroundings (skewness {-signs.skewness:.1f})"
    return None


def _signs(unit: npt.NDArray[np.float32]) -> _Signs:
    sky = _smooth_top(unit)
    rank = 0.0
    if sky.any() and not sky.all():
        rank = float(np.mean(unit[~sky] < np.median(unit[sky])))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (SPOT_SIDE, SPOT_SIDE))
    bright, dark = (
        float(np.maximum(cv2.morphologyEx(unit, kind, kernel) - SPOT_HEIGHT, 0).mean()) + 1e-4
        for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    )
    spread = float(unit.std())
    return _Signs(
        sky_share=float(sky.mean()),
        sky_width=float(sky[:3].mean()),
        sky_rank=rank,
        sky_step=float(unit[: SIDE[1] // 3].mean() - unit[SIDE[1] // 2 :].mean()),
        spot_ratio=float(np.log(bright / dark)),
        skewness=float(((unit - np.median(unit)) ** 3).mean()) / (spread**3 + 1e-6),
    )


def _smooth_top(unit: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Smooth areas that reach the upper edge."""
    soft: Any = cv2.GaussianBlur(unit, (0, 0), 1)
    across, down = (cv2.Sobel(soft, cv2.CV_32F, *order) / 8 for order in ((1, 0), (0, 1)))
    smooth = (np.hypot(across, down) < SMOOTH).astype(np.uint8)
    _, labels = cv2.connectedComponents(smooth, connectivity=4)
    found, counts = np.unique(labels[:3][labels[:3] > 0], return_counts=True)
    return np.isin(labels, found[counts >= 30])
