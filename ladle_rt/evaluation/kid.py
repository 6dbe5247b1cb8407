"""Kernel distance (KID) between painted pictures and true ones.

The unbiased squared maximum mean discrepancy of Bińkowski, Sutherland, Arbel & Gretton,
"Demystifying MMD GANs", 2018, with their cubic polynomial kernel, on pooled features of a
network. Own code of a few lines: `torchmetrics.image.kid.poly_mmd` gives the same value (a test
holds the two together) but takes no weights, and redrawn sets are weights: a picture that is
drawn twice must not be compared with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ladle_rt.evaluation.bootstrap import CONFIDENCE, SEED, Interval, units

DRAWS = 500
ROUGH_BELOW = 50
"""Pictures below which the distance is mostly chance."""
Features = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """One row on one set of pictures."""

    value: float
    """0 where both sets are of one kind, and then as often below as above."""
    interval: Interval
    """95 % percentile interval by the bootstrap."""
    pictures: int


def kernel_distance(
    outputs: Features, truths: Features, drives: Sequence[str]
) -> KernelDistance | None:
    """Distance between two sets of equal size.

    Args:
        outputs: [N,D] float32, pooled features of each picture.
        truths: [N,D] float32, of their truths.
        drives: name of the drive of each picture: whole drives are drawn, as in
            `ladle_rt.evaluation.bootstrap`.

    Returns:
        ``None`` for fewer than two pictures.
    """
    count = len(outputs)
    if count < 2:
        return None
    kernels = (_kernel(outputs, outputs), _kernel(truths, truths), _kernel(outputs, truths))
    drawn = units(drives)
    weights = drawn.draw(DRAWS, np.random.default_rng(SEED))[:, drawn.of]
    # One picture over and over has no other to be compared with.
    weights = weights[(weights > 0).sum(axis=1) > 1]
    ends = np.quantile(_distance(*kernels, weights), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    value = float(_distance(*kernels, np.ones((1, count)))[0])
    return KernelDistance(value, (float(ends[0]), float(ends[1])), count)


def _kernel(x: Features, y: Features) -> Matrix:
    product: Matrix = x.astype(np.float64) @ y.T.astype(np.float64)
    cubed: Matrix = (product / x.shape[1] + 1) ** 3
    return cubed


def _distance(outputs: Matrix, truths: Matrix, across: Matrix, weights: Matrix) -> Matrix:
    """The squared discrepancy for each row of weights [draws, N]: [draws]."""
    total = weights.sum(axis=1)
    others = np.square(total) - np.square(weights).sum(axis=1)
    within = (_others(outputs, weights) + _others(truths, weights)) / others
    # A picture and its own truth count once for each time the pair is drawn.
    between = (_others(across, weights) + weights @ np.diag(across)) / (others + total)
    distances: Matrix = within - 2 * between
    return distances


def _others(kernel: Matrix, weights: Matrix) -> Matrix:
    """Weighted sum over pairs of different pictures: [draws]."""
    off = kernel - np.diag(np.diag(kernel))
    total: Matrix = ((weights @ off) * weights).sum(axis=1)
    return total
