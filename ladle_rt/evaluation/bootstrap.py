"""Confidence intervals of mean scores by the bootstrap over drives.

Neighbouring images of one drive show the same street: drawing images one by one would take them
for independent and the interval would come out too narrow. So whole drives are drawn (the cluster
bootstrap, Davison & Hinkley 1997, section 3.8), every row of a table with the same draws, which
makes the interval of a difference a paired one. Own code: `scipy.stats.bootstrap` draws single
observations and knows no clusters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.evaluation.metrics import Scores

DRAWS = 2000
CONFIDENCE = 0.95
MIN_DRIVES = 5
"""With fewer drives there is nothing to draw from, and single images are drawn instead."""
SEED = 0
FIELDS = tuple(field.name for field in fields(Scores))
METRICS = (*FIELDS, "chroma_ratio")
"""Every figure that has an interval."""
_CELLS = 1 << 20
"""Draws are made so many counts at a time, so that memory does not grow with the set."""

Interval = tuple[float, float]
"""Lower and upper end of a 95 % percentile interval."""


@dataclass(frozen=True, slots=True)
class Resampled:
    """Means of each row over the same redrawn sets."""

    over: str
    """What was drawn, for captions."""
    drives: int
    means: Mapping[str, npt.NDArray[np.float64]] | None
    """By row, [draws, metrics] in the order of `METRICS`; ``None`` for a single image."""

    def interval(self, row: str, metric: str, against: str | None = None) -> Interval | None:
        """Of a row's mean, or of its difference to another row's.

        Returns:
            ``None`` where there is only one image or a figure is infinite.
        """
        if self.means is None:
            return None
        column = METRICS.index(metric)
        values = self.means[row][:, column]
        if not np.isfinite(values).all():
            return None
        if against is not None:
            other = self.means[against][:, column]
            if not np.isfinite(other).all():
                return None
            values = values - other
        low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return float(low), float(high)


def resample(drives: Sequence[str], scores: Mapping[str, Sequence[Scores]]) -> Resampled:
    """Redraw a set `DRAWS` times with a fixed seed.

    Args:
        drives: name of the drive of each image.
        scores: each row's scores of the same images.
    """
    names, drive_of = np.unique(np.array(drives), return_inverse=True)
    count = len(names)
    if count >= MIN_DRIVES:
        over, unit_of = f"{count} drives", drive_of
    else:
        images = "image" if len(drives) == 1 else "images"
        over = (
            f"{images} of {count} drive{'s' if count > 1 else ''}: optimistic, "
            f"fewer than {MIN_DRIVES} drives"
        )
        unit_of = np.arange(len(drives))
    if len(drives) < 2:
        return Resampled(over, count, None)
    sizes = np.bincount(unit_of).astype(np.float64)
    sums = {row: _sums(values, unit_of, len(sizes)) for row, values in scores.items()}
    generator = np.random.default_rng(SEED)
    parts: dict[str, list[npt.NDArray[np.float64]]] = {row: [] for row in scores}
    at_a_time = max(1, _CELLS // len(sizes))
    for start in range(0, DRAWS, at_a_time):
        counts = generator.multinomial(
            len(sizes),
            np.full(len(sizes), 1 / len(sizes)),
            size=min(at_a_time, DRAWS - start),
        ).astype(np.float64)
        images_drawn = counts @ sizes
        for row, total in sums.items():
            parts[row].append(_with_ratio(_product(counts, total) / images_drawn[:, None]))
    return Resampled(over, count, {row: np.vstack(found) for row, found in parts.items()})


def _sums(values: Sequence[Scores], unit_of: npt.NDArray[Any], units: int) -> npt.NDArray[Any]:
    """Sum of each field over the images of each unit: [units, fields]."""
    table = np.array([[getattr(score, name) for name in FIELDS] for score in values])
    result = np.zeros((units, len(FIELDS)))
    np.add.at(result, unit_of, table)
    return result


def _product(counts: npt.NDArray[Any], total: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``counts @ total``; a column with an infinite score (PSNR of equal images) is all infinite.

    Draws that leave such an image out would be finite, and 0 * inf would be NaN.
    """
    finite = np.isfinite(total).all(axis=0)
    product: npt.NDArray[np.float64] = counts @ np.where(finite, total, 0)
    product[:, ~finite] = np.inf
    return product


def _with_ratio(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Append the ratio of mean chromas, as `Scores.chroma_ratio` has it."""
    chroma, truth = (means[:, FIELDS.index(name)] for name in ("chroma", "chroma_truth"))
    return np.column_stack([means, chroma / np.maximum(truth, 1e-9)])
