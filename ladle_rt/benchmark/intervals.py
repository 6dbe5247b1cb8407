"""Figures with the interval that they are known to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

QUANTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
DRAWS = 400
SEED = 0
CONFIDENCE = 95.0
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom; the last for more, too."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its interval; in JSON the list of the three."""

    AS_LIST: ClassVar = True
    value: float
    low: float
    high: float

    def to_list(self) -> list[float]:
        """Value, low, high, four significant digits."""
        return [float(f"{number:.4g}") for number in (self.value, self.low, self.high)]


def exact(value: float) -> Figure:
    """A value that nothing varies."""
    return Figure(value, value, value)


def mean_figure(values: Sequence[float]) -> Figure:
    """Mean over images, with its 95 % bootstrap interval over them.

    Args:
        values: at least one; of a single one nothing is known but the value.
    """
    array = np.asarray(values, np.float64)
    generator = np.random.default_rng(SEED)
    drawn = array[generator.integers(0, array.size, (DRAWS, array.size))].mean(axis=1)
    outside = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (outside, 100 - outside))
    return Figure(float(array.mean()), float(low), float(high))


def over_rounds(values: Sequence[float]) -> Figure:
    """Mean of one value from each round, with its 95 % interval by Student's t.

    Args:
        values: not negative; of a single one nothing is known but the value.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Figure(mean, mean, mean)
    quantile = STUDENT_T[min(len(values) - 1, len(STUDENT_T)) - 1]
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return Figure(mean, max(0.0, mean - half), mean + half)


def percentile_figures(rounds: Sequence[Sequence[float]]) -> dict[str, Figure]:
    """`QUANTILES` over the values of all rounds, with 95 % bootstrap intervals.

    Neighbouring frames share the state of the machine, and so do rounds: rounds are drawn first,
    then values within each (Davison & Hinkley 1997, section 3.8).

    Args:
        rounds: values of each round, at least one of each.
    """
    arrays = [np.asarray(one, np.float64) for one in rounds]
    generator = np.random.default_rng(SEED)
    wanted = list(QUANTILES.values())
    draws = np.empty((DRAWS, len(wanted)))
    for row in draws:
        chosen = [arrays[index] for index in generator.integers(0, len(arrays), len(arrays))]
        row[:] = np.percentile(
            np.concatenate([generator.choice(one, one.size) for one in chosen]), wanted
        )
    outside = (100 - CONFIDENCE) / 2
    lows, highs = np.percentile(draws, (outside, 100 - outside), axis=0)
    values = np.percentile(np.concatenate(arrays), wanted)
    return {
        name: Figure(float(value), float(low), float(high))
        for name, value, low, high in zip(QUANTILES, values, lows, highs, strict=True)
    }
