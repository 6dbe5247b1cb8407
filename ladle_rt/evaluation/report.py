"""What an evaluation found: means, intervals, differences, and the same as JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ladle_rt.datasets import Pair
from ladle_rt.evaluation.bootstrap import METRICS, Interval, Resampled, resample
from ladle_rt.evaluation.contestant import SIZE
from ladle_rt.evaluation.metrics import Scores, mean_scores

CSV_COLUMNS = ("model", "name", "sequence", "light", *METRICS)


@dataclass(frozen=True, slots=True)
class Example:
    """One pair and what everything scored on it."""

    pair: Pair
    scores: dict[str, Scores]
    """By row: the models first, then the baselines."""


@dataclass(frozen=True)
class Report:
    """What an evaluation found. Holds figures only: a pair costs a few hundred bytes."""

    models: list[str]
    """Rows that are models; the further ones are compared with the first."""
    examples: list[Example]
    """At least one."""
    mean_colour_from: str
    """Which pairs the mean-colour baseline is the mean of."""
    failures: list[str]
    """One line for each pair that could not be scored."""

    @property
    def rows(self) -> list[str]:
        """The models, then the baselines."""
        return list(self.examples[0].scores)

    @property
    def first(self) -> str:
        """The model that the others are compared with and that ranks the contact sheet."""
        return self.models[0]

    def lights(self) -> list[str]:
        """Light conditions that occur, then ``all``; only ``all`` where there is one."""
        found = sorted({example.pair.light for example in self.examples})
        return [*found, "all"] if len(found) > 1 else ["all"]

    def mean(self, row: str, light: str = "all") -> Scores:
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
            ``None`` where there is only one image or a figure is infinite.
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

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: means, intervals and differences by light condition and row.

        ``model`` and ``images`` (every image's scores) are those of the first model; `to_csv`
        has them of all rows.
        """
        return {
            "model": self.first,
            "models": self.models,
            "size": list(SIZE),
            "mean_colour_from": self.mean_colour_from,
            "means": {
                light: {
                    "images": self.count(light),
                    **{row: _plain(self.mean(row, light)) for row in self.rows},
                }
                for light in self.lights()
            },
            "intervals": {
                light: {
                    "over": self.resampled[light].over,
                    "drives": self.resampled[light].drives,
                    "rows": {row: self._intervals(row, light) for row in self.rows},
                }
                for light in self.lights()
            },
            "differences": {
                light: {row: self._differences(row, light) for row in self.models[1:]}
                for light in self.lights()
            },
            "images": {
                example.pair.name: _plain(example.scores[self.first]) for example in self.examples
            },
            "failures": self.failures,
        }

    def to_csv(self) -> str:
        """Every image's scores of every row, one line each, with a header."""
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for row in self.rows:
            for example in self.examples:
                scores, pair = example.scores[row], example.pair
                figures = (f"{getattr(scores, metric):.6g}" for metric in METRICS)
                writer.writerow([row, pair.name, pair.sequence, pair.light, *figures])
        return stream.getvalue()

    def _chosen(self, light: str) -> list[Example]:
        return [e for e in self.examples if light in ("all", e.pair.light)]

    def _intervals(self, row: str, light: str) -> dict[str, list[float] | None]:
        return {metric: _ends(self.interval(row, metric, light)) for metric in METRICS}

    def _differences(self, row: str, light: str) -> dict[str, dict[str, Any]]:
        return {
            metric: {
                "mean": _number(self.difference(row, metric, light)),
                "interval": _ends(self.interval(row, metric, light, self.first)),
            }
            for metric in METRICS
        }


def _plain(scores: Scores) -> dict[str, float | None]:
    values = {**asdict(scores), "chroma_ratio": scores.chroma_ratio}
    return {key: _number(value) for key, value in values.items()}


def _number(value: float) -> float | None:
    """Five digits; equal images have an infinite PSNR, and JSON knows no infinity."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [float(f"{end:.5g}") for end in interval]
