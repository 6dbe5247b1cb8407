"""Figures with the interval that they are known to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUANTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
DRAWS = 400
SEED = 0
CONFIDENCE = 95.0


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its interval."""

    value: float
    low: float
    high: float

    def to_list(self) -> list[float]:
        """Value, low, high, four significant digits."""
        return [float(f"{number:.4g}") for number in (self.value, self.low, self.high)]


def over_rounds(values: Sequence[float]) -> Figure:
    """Median of one value from each round, between the smallest and the largest."""
    return Figure(statistics.median(values), min(values), max(values))


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
