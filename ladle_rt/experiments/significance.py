"""Figures over seeds, drives and frames, and whether two arms differ.

Every drive counts the same: a figure is the mean over drives of the means over their frames. The
bootstrap draws seeds, drives and frames within drives anew (Davison & Hinkley 1997, section 3.8),
both arms with the same draws, so that differences are paired. With fewer than
`ladle_rt.evaluation.bootstrap.MIN_DRIVES` drives there are none to draw from, and the interval is
over frames and seeds alone: optimistic, and said so. Two or three seeds say little about the
spread between seeds: `Difference.agree` counts how many of them have the sign of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ladle_rt.benchmark.intervals import Figure
from ladle_rt.evaluation.bootstrap import CONFIDENCE, DRAWS, MIN_DRIVES, SEED

Values = npt.NDArray[np.float64]
"""[seeds, frames]."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One arm against another in one metric."""

    absolute: Figure
    """Mean of the arm less that of the other."""
    percent: Figure | None
    """The same as a share of the other's; None where that is not above 0."""
    p: float
    """Two-sided: how often a redrawn set says the opposite; no smaller than 1 in `DRAWS`."""
    agree: int
    """Seeds whose difference has the sign of the whole."""
    seeds: int


class Resampling:
    """The same draws for all arms on one set of frames.

    Args:
        drives: name of the drive of each frame, at least one.
        seeds: how many seeds.
    """

    def __init__(self, drives: Sequence[str], seeds: int) -> None:
        names, of = np.unique(np.array(drives), return_inverse=True)
        sizes = np.bincount(of)
        self.drives, self.seeds = len(names), seeds
        self._plain = 1 / (len(names) * sizes[of])
        generator = np.random.default_rng(SEED)
        count = len(names)
        if count >= MIN_DRIVES:
            drawn = generator.multinomial(count, np.full(count, 1 / count), size=DRAWS)
        else:
            drawn = np.ones((DRAWS, count), np.int64)
        weights = np.zeros((DRAWS, len(of)))
        for number, size in enumerate(sizes):
            frames = generator.multinomial(
                drawn[:, number] * size, np.full(size, 1 / size), size=DRAWS
            )
            weights[:, of == number] = frames / (count * size)
        self._frames = weights
        self._seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS) / seeds

    @property
    def over(self) -> str:
        """What was drawn, for captions."""
        seeds = f"{self.seeds} seed{'s' * (self.seeds > 1)}"
        drives = f"{self.drives} drive{'s' * (self.drives > 1)}"
        if self.drives >= MIN_DRIVES:
            return f"{seeds}, {drives} and their frames"
        return f"{seeds} and frames of {drives}: optimistic, fewer than {MIN_DRIVES} drives"

    def figure(self, values: Values) -> Figure:
        """Mean and 95 % interval of one arm: [seeds, frames]; one row stands for all seeds."""
        values = self._spread(values)
        return _figure(float((values @ self._plain).mean()), self._draws(values))

    def difference(self, mine: Values, other: Values) -> Difference:
        """The first arm against the second, seed by seed and frame by frame."""
        mine, other = self._spread(mine), self._spread(other)
        by_seed = (mine - other) @ self._plain
        mean, base = float(by_seed.mean()), float((other @ self._plain).mean())
        ours, theirs = self._draws(mine), self._draws(other)
        apart = ours - theirs
        against = min(float((apart <= 0).mean()), float((apart >= 0).mean()))
        percent = None
        if base > 0 and (theirs > 0).all():
            percent = _figure(100 * mean / base, 100 * apart / theirs)
        return Difference(
            absolute=_figure(mean, apart),
            percent=percent,
            p=min(1.0, max(2 * against, 1 / DRAWS)),
            agree=int((np.sign(by_seed) == np.sign(mean)).sum()),
            seeds=self.seeds,
        )

    def _spread(self, values: Values) -> Values:
        return np.broadcast_to(values, (self.seeds, values.shape[1]))

    def _draws(self, values: Values) -> npt.NDArray[np.float64]:
        means = self._frames @ values.T
        drawn: npt.NDArray[np.float64] = (means * self._seeds).sum(axis=1)
        return drawn


def holm(p: Sequence[float]) -> list[float]:
    """P-values for as many questions at once (Holm 1979)."""
    order = np.argsort(p)
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = highest
    return adjusted


def against_claim(percent: Figure | None, claim: float) -> str:
    """Whether a published improvement is in the interval of ours."""
    if percent is None:
        return "not measured"
    if percent.high < claim:
        return "not reached"
    return "exceeded" if percent.low > claim else "inside the interval"


def _figure(value: float, draws: npt.NDArray[np.float64]) -> Figure:
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Figure(value, float(low), float(high))
