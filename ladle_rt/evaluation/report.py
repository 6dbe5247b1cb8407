"""What an evaluation found in one view: means, intervals, differences, kernel distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ladle_rt.datasets import Pair
from ladle_rt.evaluation.bootstrap import METRICS, Interval, Resampled, resample
from ladle_rt.evaluation.comparison import PooledFeatures
from ladle_rt.evaluation.image_metrics import ImageScores, mean_scores
from ladle_rt.evaluation.kid import KernelDistance, kernel_distance

PERCEPTUAL = "perceptual"


@dataclass(frozen=True, slots=True)
class Example:
    """One pair and what everything scored on it."""

    pair: Pair
    scores: dict[str, ImageScores]
    """By row: the models first, then the baselines."""
    pooled: PooledFeatures | None = None
    """Features for kernel distances, where they were kept."""


@dataclass(frozen=True)
class Report:
    """Every row against one truth. Holds figures only: a pair costs a few hundred bytes, with
    a feature network 5 kB for each row."""

    models: Sequence[str]
    """Rows that are models; the further ones are compared with the first."""
    examples: list[Example]
    """At least one."""

    @property
    def rows(self) -> list[str]:
        """The models, then the baselines."""
        return list(self.examples[0].scores)

    @property
    def first(self) -> str:
        """The model that the others are compared with and that ranks the contact sheet."""
        return self.models[0]

    @property
    def has_perceptual(self) -> bool:
        """Whether there are perceptual and kernel distances."""
        return self.examples[0].scores[self.first].perceptual is not None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Figures of every image that were measured."""
        return tuple(name for name in METRICS if self.has_perceptual or name != PERCEPTUAL)

    def lights(self) -> list[str]:
        """Light conditions that occur, then ``all``; only ``all`` where there is one."""
        found = sorted({example.pair.light for example in self.examples})
        return [*found, "all"] if len(found) > 1 else ["all"]

    def mean(self, row: str, light: str = "all") -> ImageScores:
        """Mean scores of one row over the images of one light condition."""
        return mean_scores([example.scores[row] for example in self._chosen(light)])

    def count(self, light: str) -> int:
        """Images of one light condition."""
        return len(self._chosen(light))

    def interval(
        self, row: str, metric: str, light: str = "all", against: str | None = None
    ) -> Interval | None:
        """95 % interval of a row's mean, or of its paired difference to another row's.

        Returns:
            ``None`` where there is only one image, or a figure is infinite or not measured.
        """
        return self.resampled[light].interval(row, metric, against)

    def difference(self, row: str, metric: str, light: str = "all") -> float:
        """Mean of a row less that of the first model."""
        ours, first = self.mean(row, light), self.mean(self.first, light)
        return float(getattr(ours, metric) - getattr(first, metric))

    @cached_property
    def resampled(self) -> dict[str, Resampled]:
        """The bootstrap of each light condition."""
        result = {}
        for light in self.lights():
            chosen = self._chosen(light)
            result[light] = resample(
                [example.pair.sequence for example in chosen],
                {row: [example.scores[row] for example in chosen] for row in self.rows},
            )
        return result

    @cached_property
    def kernel_distances(self) -> dict[str, dict[str, KernelDistance]]:
        """By light condition and row, over the examples that kept their features."""
        result = {}
        for light in self.lights():
            kept = [(e.pair.sequence, e.pooled) for e in self._chosen(light) if e.pooled]
            drives = [drive for drive, _ in kept]
            truths = np.array([pooled.truth for _, pooled in kept])
            found = {
                row: kernel_distance(
                    np.array([pooled.outputs[row] for _, pooled in kept]), truths, drives
                )
                for row in self.rows
            }
            result[light] = {row: one for row, one in found.items() if one is not None}
        return result

    def _chosen(self, light: str) -> list[Example]:
        return [e for e in self.examples if light in ("all", e.pair.light)]
