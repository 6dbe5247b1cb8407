"""How much a picture looks like one that was taken: contrast, colour, sharpness, blacks.

Figures of one picture by itself, no pixel of the truth involved: a painted picture is as natural
as the truth where both have the same. Fog shows as little contrast and a high black point,
blur as little sharpness, and neither shows in SSIM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.colour import LUMA
from ladle_rt.metrics.similarity import Image

BLACK_PERCENTILE = 1.0


@dataclass(frozen=True, slots=True)
class Nature:
    """One picture."""

    chroma: float
    """Mean CIELAB C*."""
    contrast: float
    """Standard deviation of L*."""
    sharpness: float
    """Gradient energy, see `gradient_energy`."""
    colourfulness: float
    """Hasler & Süsstrunk 2003, see `colourfulness`."""
    black_point: float
    """1st percentile of L*."""


def nature(image: Image, lab: npt.NDArray[Any]) -> Nature:
    """Measure one picture.

    Args:
        image: HxWx3 float32 RGB in [0,1].
        lab: the same picture in CIELAB, HxWx3, L* in [0,100].
    """
    return Nature(
        chroma=float(np.hypot(lab[..., 1], lab[..., 2]).mean()),
        contrast=float(lab[..., 0].std(dtype=np.float64)),
        sharpness=gradient_energy(image),
        colourfulness=colourfulness(image),
        black_point=float(np.percentile(lab[..., 0], BLACK_PERCENTILE)),
    )


def gradient_energy(image: Image) -> float:
    """Mean of gx^2 + gy^2 of luma, g being the difference of neighbouring pixels.

    Args:
        image: HxWx3 float32 RGB in [0,1], sides of at least 2.
    """
    luma = image @ LUMA
    return sum(float(np.square(np.diff(luma, axis=axis)).mean(dtype=np.float64)) for axis in (0, 1))


def colourfulness(image: Image) -> float:
    """The measure M^(3) of Hasler & Süsstrunk, "Measuring colorfulness in natural images", 2003.

    Args:
        image: HxWx3 float32 RGB in [0,1].

    Returns:
        On the paper's scale of 8-bit counts: 0 grey, 33 averagely, 82 quite, 109 extremely
        colourful.
    """
    red, green, blue = np.moveaxis(image.astype(np.float64) * 255, -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))
