"""What an evaluation found in all its views, and the same as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ladle_rt.datasets.look import Look
from ladle_rt.documents import json_number
from ladle_rt.evaluation.bootstrap import Interval
from ladle_rt.evaluation.comparison import PAINTED, RAW
from ladle_rt.evaluation.image_metrics import ImageScores
from ladle_rt.evaluation.kid import KernelDistance
from ladle_rt.evaluation.report import Report


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Models and baselines on the same pairs, against every truth that was compared with."""

    reports: Mapping[str, Report]
    """By view, see `ladle_rt.evaluation.comparison`; the raw truth is always there."""
    look: Look
    """Of the truth in the other views; ``none``: there are no others."""
    size: tuple[int, int]
    """Height and width of the comparison."""
    mean_colour_from: str
    """Which pairs the mean-colour baseline is the mean of."""
    failures: list[str]
    """One line for each pair that could not be scored."""

    @property
    def raw(self) -> Report:
        """Against the raw truth: the figures of record."""
        return self.reports[RAW]

    @property
    def chosen(self) -> Report:
        """Pictures as painted, against the truth in the look where there is one."""
        return self.reports.get(PAINTED, self.raw)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready.

        ``means``, ``intervals``, ``differences`` and ``images`` are against the raw truth; the
        other views have the same keys below their names. ``model`` and ``images`` (every image's
        scores) are those of the first model; `to_csv` has them of all rows.
        """
        raw, *others = self.reports
        return {
            "model": self.raw.first,
            "models": list(self.raw.models),
            "size": list(self.size),
            "look": self.look,
            "mean_colour_from": self.mean_colour_from,
            **_figures(self.reports[raw]),
            **{name: _figures(self.reports[name]) for name in others},
            "failures": self.failures,
        }

    def to_csv(self) -> str:
        """Every image's scores of every row in every view, one line each, with a header."""
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        metrics = self.raw.metrics
        writer.writerow(["view", "model", "name", "sequence", "light", *metrics])
        for view, report in self.reports.items():
            for row in report.rows:
                for example in report.examples:
                    scores, pair = example.scores[row], example.pair
                    figures = (f"{getattr(scores, metric):.6g}" for metric in metrics)
                    place = [view, row, pair.name, pair.sequence, pair.light]
                    writer.writerow([*place, *figures])
        return stream.getvalue()


def _figures(report: Report) -> dict[str, Any]:
    """One view: by light condition and row, then every image's scores of the first model."""
    lights = report.lights()
    result: dict[str, Any] = {
        "means": {
            light: {
                "images": report.count(light),
                **{row: _plain(report, report.mean(row, light)) for row in report.rows},
            }
            for light in lights
        },
        "intervals": {
            light: {
                "over": report.resampled[light].over,
                "drives": report.resampled[light].drives,
                "rows": {row: _intervals(report, row, light) for row in report.rows},
            }
            for light in lights
        },
        "differences": {
            light: {row: _differences(report, row, light) for row in report.models[1:]}
            for light in lights
        },
    }
    if report.has_perceptual:
        result["kid"] = {
            light: {row: _kid(one) for row, one in found.items()}
            for light, found in report.kernel_distances.items()
        }
    result["images"] = {
        example.pair.name: _plain(report, example.scores[report.first])
        for example in report.examples
    }
    return result


def _plain(report: Report, scores: ImageScores) -> dict[str, float | None]:
    return {metric: json_number(getattr(scores, metric)) for metric in report.metrics}


def _intervals(report: Report, row: str, light: str) -> dict[str, list[float] | None]:
    return {metric: _ends(report.interval(row, metric, light)) for metric in report.metrics}


def _differences(report: Report, row: str, light: str) -> dict[str, dict[str, Any]]:
    return {
        metric: {
            "mean": json_number(report.difference(row, metric, light)),
            "interval": _ends(report.interval(row, metric, light, report.first)),
        }
        for metric in report.metrics
    }


def _kid(found: KernelDistance) -> dict[str, Any]:
    return {
        "value": json_number(found.value),
        "interval": _ends(found.interval),
        "pictures": found.pictures,
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [float(f"{end:.5g}") for end in interval]
