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

from ladle_rt.evaluation.image_metrics import RATIOS, ImageScores

DRAWS = 2000
CONFIDENCE = 0.95
MIN_DRIVES = 5
"""With fewer drives there is nothing to draw from, and single images are drawn instead."""
SEED = 0
FIELDS = tuple(field.name for field in fields(ImageScores))
METRICS = (*FIELDS, *(f"{name}_ratio" for name in RATIOS))
"""Every figure that has an interval."""
_CELLS = 1 << 20
"""Draws are made so many counts at a time, so that memory does not grow with the set."""

Interval = tuple[float, float]
"""Lower and upper end of a 95 % percentile interval."""


@dataclass(frozen=True, slots=True)
class Units:
    """What is drawn: drives, or images where there are too few drives."""

    over: str
    """For captions."""
    drives: int
    of: npt.NDArray[np.intp]
    """The unit of each image, numbered from 0."""

    @property
    def count(self) -> int:
        """How many units there are."""
        return int(self.of.max()) + 1

    def draw(self, draws: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        """How often each unit is drawn: [draws, units]."""
        count = self.count
        chances = np.full(count, 1 / count)
        return generator.multinomial(count, chances, size=draws).astype(np.float64)


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
            ``None`` where there is only one image, or a figure is infinite or not measured.
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


def units(drives: Sequence[str]) -> Units:
    """What to draw of a set of images.

    Args:
        drives: name of the drive of each image, at least one.
    """
    names, drive_of = np.unique(np.array(drives), return_inverse=True)
    count = len(names)
    if count >= MIN_DRIVES:
        return Units(f"{count} drives", count, drive_of)
    images = "image" if len(drives) == 1 else "images"
    over = (
        f"{images} of {count} drive{'s' if count > 1 else ''}: optimistic, "
        f"fewer than {MIN_DRIVES} drives"
    )
    return Units(over, count, np.arange(len(drives)))


def resample(drives: Sequence[str], scores: Mapping[str, Sequence[ImageScores]]) -> Resampled:
    """Redraw a set `DRAWS` times with a fixed seed.

    Args:
        drives: name of the drive of each image.
        scores: each row's scores of the same images.
    """
    drawn = units(drives)
    if len(drives) < 2:
        return Resampled(drawn.over, drawn.drives, None)
    sizes = np.bincount(drawn.of).astype(np.float64)
    sums = {row: _sums(values, drawn.of, len(sizes)) for row, values in scores.items()}
    generator = np.random.default_rng(SEED)
    parts: dict[str, list[npt.NDArray[np.float64]]] = {row: [] for row in scores}
    at_a_time = max(1, _CELLS // len(sizes))
    for start in range(0, DRAWS, at_a_time):
        counts = drawn.draw(min(at_a_time, DRAWS - start), generator)
        images_drawn = counts @ sizes
        for row, total in sums.items():
            parts[row].append(_with_ratios(_product(counts, total) / images_drawn[:, None]))
    means = {row: np.vstack(found) for row, found in parts.items()}
    return Resampled(drawn.over, drawn.drives, means)


def _sums(values: Sequence[ImageScores], unit_of: npt.NDArray[Any], units: int) -> npt.NDArray[Any]:
    """Sum of each field over the images of each unit: [units, fields]."""
    table = np.array([[getattr(score, name) for name in FIELDS] for score in values], float)
    result = np.zeros((units, len(FIELDS)))
    np.add.at(result, unit_of, table)
    return result


def _product(counts: npt.NDArray[Any], total: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``counts @ total``; a column with an infinite score (PSNR of equal images), or with one that
    was not measured, is all infinite.

    Draws that leave such an image out would be finite, and 0 * inf would be NaN.
    """
    finite = np.isfinite(total).all(axis=0)
    product: npt.NDArray[np.float64] = counts @ np.where(finite, total, 0)
    product[:, ~finite] = np.inf
    return product


def _with_ratios(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Append the ratios of means, as `ImageScores` has them."""
    ratios = []
    for name in RATIOS:
        output, truth = (means[:, FIELDS.index(key)] for key in (name, f"{name}_truth"))
        ratios.append(output / np.maximum(truth, 1e-9))
    return np.column_stack([means, *ratios])
