"""Failure signatures that the LadleNet paper names, as figures of one picture.

Blur is `ladle_rt.evaluation.image_metrics.gradient_energy` over the truth's, instability that of
`temporal_metrics`; here are the others: objects that stand elsewhere than in the truth, colour
that leaves its object, and pictures that follow the sensor's noise.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.colour import LUMA
from ladle_rt.similarity import Image

BLOCK = 32
"""Side of the blocks that are looked for in the truth, pixels."""
REACH = 8
"""How far away a block is looked for, pixels."""
FOUND = 0.4
"""Correlation above which a block counts as found."""
STRONGEST = 0.1
"""Share of pixels that are called the truth's edges."""
NOISE = 2 / 255
"""Standard deviation of the noise of `noisy`: an uncooled camera's."""
Plane = npt.NDArray[np.float32]


def displacement_px(output: Image, truth: Image) -> float | None:
    """How far the blocks of a picture lie from where the truth has them, mean in pixels.

    Blocks of edge strength are looked for in the truth by normalised cross-correlation; those
    that are flat or not found say nothing.

    Args:
        output: HxWx3 float32 RGB in [0,1], sides of at least 48.
        truth: the same.

    Returns:
        0 where all is in place; None where no block was found.
    """
    mine, theirs = _edges(output @ LUMA), _edges(truth @ LUMA)
    height, width = mine.shape
    shifts = []
    for top in range(REACH, height - BLOCK - REACH + 1, BLOCK):
        for left in range(REACH, width - BLOCK - REACH + 1, BLOCK):
            block = mine[top : top + BLOCK, left : left + BLOCK]
            around = theirs[top - REACH : top + BLOCK + REACH, left - REACH : left + BLOCK + REACH]
            if block.std() < 1e-4 or around.std() < 1e-4:
                continue
            scores: Any = cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED)
            _, best, _, place = cv2.minMaxLoc(scores)
            if best >= FOUND:
                shifts.append(np.hypot(place[0] - REACH, place[1] - REACH))
    return float(np.mean(shifts)) if shifts else None


def colour_at_edges(output: Image, truth: Image) -> float | None:
    """How much of a picture's change of colour lies where the truth's colour changes.

    The share of the gradient of a* and b* that lies on the truth's strongest such gradients, over
    the truth's own share: 1 as well kept apart as in the truth, lower where colour bleeds. The
    amount of colour plays no part.

    Args:
        output: HxWx3 float32 RGB in [0,1].
        truth: the same.

    Returns:
        None where picture or truth has no colour that changes.
    """
    mine, theirs = _chroma_edges(output), _chroma_edges(truth)
    if mine.mean() < 1e-2 or theirs.mean() < 1e-2:
        return None
    edge = theirs >= np.quantile(theirs, 1 - STRONGEST)
    return float((mine[edge].sum() / mine.sum()) / (theirs[edge].sum() / theirs.sum()))


def noisy(thermal: Plane, draw: int) -> Plane:
    """A normalised frame with sensor noise: HxW float32 in [0,1], the same for the same draw."""
    noise = np.random.default_rng(draw).standard_normal(thermal.shape, np.float32)
    return np.clip(thermal + np.float32(NOISE) * noise, 0, 1)


def _edges(plane: npt.NDArray[Any]) -> Plane:
    smooth = cv2.GaussianBlur(np.asarray(plane, np.float32), (0, 0), 1.0)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _chroma_edges(image: Image) -> Plane:
    lab = cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2LAB)
    return np.hypot(_edges(lab[..., 1]), _edges(lab[..., 2]))
