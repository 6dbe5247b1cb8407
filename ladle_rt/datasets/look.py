"""One canonical daylight look for visible pictures, so that a network has one target to learn.

Cameras differ in haze, exposure, white balance and saturation. A regression over all of them
paints their mean, which is grey fog. So the truth is graded before training; nothing is graded
when a picture is painted (it would flicker).

In CIELAB (D65), of one picture or of a whole data set:

    L*   its 1st and 99th percentile to `BLACK` and `WHITE`, then a power that brings the median
         to `MEDIAN`, as far as `GAMMA` allows
    a*b* the median of the less saturated pixels moved by `NEUTRAL` of its way to grey, then
         scaled towards a mean chroma of `CHROMA`, as far as `GAIN` allows; faded out above L*
         `FADE`, so that clipped skies are white and not pink

The limits are what keeps a dim or colourless picture's noise from being blown up to daylight.
The figures are of this project, chosen by eye on six data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import cv2
import numpy as np

from ladle_rt.colour import Rgb, from_lab, to_lab

Look = Literal["daylight", "none"]
LOOKS: tuple[Look, ...] = get_args(Look)

BLACK, WHITE = 3.0, 97.0
"""L* of the darkest and the brightest hundredth before the power."""
MIN_SPAN = 25.0
"""Percentiles of L* nearer than this are stretched as if they were this far apart."""
MEDIAN = 46.0
GAMMA = (0.6, 1.6)
NEUTRAL = 0.7
CALM = 60
"""Percentile of chroma up to which a pixel counts as near neutral."""
CHROMA = 14.0
GAIN = (0.6, 2.2)
FADE = (86.0, 98.0)
"""Colour is whole up to the first L* and gone at the second."""
_SAMPLE = 64
"""Side to which each picture of a data set is brought to measure the set."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What brings one picture, or one data set, to the daylight look."""

    low: float
    """L* that becomes `BLACK`."""
    high: float
    """L* that becomes `WHITE`."""
    gamma: float
    """Power on L* / 100 after that."""
    a: float
    """Subtracted from a*."""
    b: float
    """Subtracted from b*."""
    gain: float
    """Factor on chroma."""

    def __call__(self, rgb: Rgb) -> Rgb:
        """Grade a picture: HxWx3 uint8 sRGB to a new one of the same size."""
        lab = to_lab(rgb)
        lightness = np.clip((lab[..., 0] - self.low) / (self.high - self.low), 0, 1)
        lightness = ((lightness * (WHITE - BLACK) + BLACK) / 100) ** np.float32(self.gamma) * 100
        keep = np.clip((FADE[1] - lightness) / (FADE[1] - FADE[0]), 0, 1) * np.float32(self.gain)
        lab[..., 0] = lightness
        lab[..., 1] = (lab[..., 1] - np.float32(self.a)) * keep
        lab[..., 2] = (lab[..., 2] - np.float32(self.b)) * keep
        return cast(Rgb, (from_lab(lab) * 255 + 0.5).astype(np.uint8))


def measure(rgb: Rgb) -> Grade:
    """The grade of one picture, HxWx3 uint8 sRGB."""
    lightness, a, b = (plane.astype(np.float64) for plane in cv2.split(to_lab(rgb)))
    low, high = np.percentile(lightness, (1, 99))
    high = max(high, low + MIN_SPAN)
    middle = np.clip((np.median(lightness) - low) / (high - low), 0, 1)
    middle = np.clip((middle * (WHITE - BLACK) + BLACK) / 100, 0.05, 0.95)
    gamma = np.clip(np.log(MEDIAN / 100) / np.log(middle), *GAMMA)
    chroma = np.hypot(a, b)
    calm = chroma <= np.percentile(chroma, CALM)
    shift_a, shift_b = NEUTRAL * np.median(a[calm]), NEUTRAL * np.median(b[calm])
    mean = np.hypot(a - shift_a, b - shift_b).mean()
    gain = np.clip(CHROMA / max(mean, 1e-3), *GAIN)
    return Grade(*(float(value) for value in (low, high, gamma, shift_a, shift_b, gain)))


def measure_set(pictures: Sequence[Rgb]) -> Grade:
    """The one grade of a set of object crops, each HxWx3 uint8 sRGB; at least one.

    A crop may be all white car: graded by itself it would become a grey one.
    """
    side = (_SAMPLE, _SAMPLE)
    tiles = [cv2.resize(picture, side, interpolation=cv2.INTER_AREA) for picture in pictures]
    return measure(np.concatenate(tiles).astype(np.uint8))


def to_look(rgb: Rgb, look: Look) -> Rgb:
    """A picture in a look, graded by itself; ``none`` returns it as it is."""
    return measure(rgb)(rgb) if look == "daylight" else rgb
