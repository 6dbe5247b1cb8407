"""SSIM, MS-SSIM and PSNR of one image against its truth, on OpenCV and NumPy alone.

The figures are torchmetrics' with its defaults and a data range of 1; the tests hold the two
together to 1e-5. Own code because both published forms of MS-SSIM and SSIM itself are powers and
means of the same maps: one pass of separable windows is 25 times as fast as the eleven dense
11x11 convolutions that three calls of torchmetrics make, and needs no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
"""HxWx3, RGB in [0,1]."""

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang et al. 2003)."""
PAPER_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Exponents of LadleNet's published MS-SSIM, finest scale first: they sum to 15.5, not to 1."""
WINDOW, SIGMA = 11, 1.5
MIN_SIDE = 176
"""Below it the window does not fit the coarsest scale."""
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, slots=True)
class Similarity:
    """Structural similarity of one image."""

    ssim: float
    """Wang et al. 2004, 11x11 Gaussian window."""
    ms_ssim: float
    """Wang et al. 2003, five scales."""
    ms_ssim_paper: float
    """MS-SSIM with `PAPER_WEIGHTS`, each colour channel by itself, then the mean."""


def similarity(output: Image, truth: Image) -> Similarity:
    """SSIM and both forms of MS-SSIM.

    Args:
        output: HxWx3 float32 in [0,1], sides of at least `MIN_SIDE`.
        truth: the same.
    """
    scales = []
    ssim = 0.0
    for scale in range(len(WEIGHTS)):
        whole, contrast = _terms(output, truth)
        if scale == 0:
            ssim = float(whole.mean())
        if scale == len(WEIGHTS) - 1:
            scales.append(whole)
        else:
            scales.append(contrast)
            output, truth = _halve(output), _halve(truth)
    factors = np.array(scales)
    # Negative correlation counts as none: its powers are no real numbers.
    together = np.maximum(factors.mean(axis=1), 0)
    # With the paper's exponents the mean before the power is another value.
    apart = np.maximum(factors, 0) ** np.array(PAPER_WEIGHTS)[:, None]
    return Similarity(
        ssim=ssim,
        ms_ssim=float(np.prod(together ** np.array(WEIGHTS))),
        ms_ssim_paper=float(apart.prod(axis=0).mean()),
    )


def ssim(output: Image, truth: Image) -> float:
    """SSIM alone, Wang et al. 2004; HxWx3 float32 in [0,1], sides of at least `WINDOW`."""
    return float(_terms(output, truth)[0].mean())


def psnr_db(output: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Peak signal-to-noise ratio for a range of 1, decibels; infinite for equal images."""
    error = float(np.mean(np.square(output.astype(np.float64) - truth)))
    return -10 * math.log10(error) if error else math.inf


def _terms(x: Image, y: Image) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean SSIM and mean contrast-structure term of each channel.

    As in torchmetrics, the former over the whole map with the image reflected at its border, the
    latter where the window fits.
    """
    mean_x, mean_y = _blur(x), _blur(y)
    square_x, square_y, product = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variance_x = np.maximum(_blur(x * x) - square_x, 0)
    variance_y = np.maximum(_blur(y * y) - square_y, 0)
    contrast = (2 * (_blur(x * y) - product) + _C2) / (variance_x + variance_y + _C2)
    whole = contrast * (2 * product + _C1) / (square_x + square_y + _C1)
    edge = WINDOW // 2
    inner = contrast[edge:-edge, edge:-edge]
    return whole.mean(axis=(0, 1), dtype=np.float64), inner.mean(axis=(0, 1), dtype=np.float64)


def _blur(image: Image) -> Image:
    blurred: Any = cv2.GaussianBlur(
        image, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT_101
    )
    return blurred  # type: ignore[no-any-return]


def _halve(image: Image) -> Image:
    """Mean of 2x2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 for side in image.shape[:2])
    halved: Any = cv2.resize(
        image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
    )
    return halved  # type: ignore[no-any-return]
