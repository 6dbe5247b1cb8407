"""A result as one page that needs no network, by plotly (extra ``report``)."""

from __future__ import annotations

from html import escape
from typing import Any

from ladle_rt.benchmark.report_html import page
from ladle_rt.benchmark.report_plots import MARGIN_PX, ROW_PX, rendered
from ladle_rt.errors import require
from ladle_rt.experiments.experiment_plan import ALL
from ladle_rt.experiments.experiment_result import ExperimentResult
from ladle_rt.experiments.experiment_tables import HEADINGS, scale_sentence

COLOURS = {"baseline": "#94a3b8"}


def to_html(result: ExperimentResult) -> str:
    """Every metric's value of every arm with its interval, by group of frames.

    Raises:
        MissingDependencyError: plotly is not installed.
    """
    go = require("plotly.graph_objects", "report")
    groups = list(dict.fromkeys(group for arm in result.arms for group in arm.figures))
    parts = [f"<h1>{escape(result.title)}</h1>", f"<p>{escape(result.question)}</p>"]
    parts.append(f'<p class="note">{escape(scale_sentence(result))}</p>')
    if not result.complete:
        parts.append('<p class="warning">Some runs are not finished.</p>')
    for metric in result.metrics:
        having = [g for g in groups if any(metric in a.figures.get(g, {}) for a in result.arms)]
        if not having:
            continue
        heading = HEADINGS.get(metric, metric)
        parts.append(f"<h2>{escape(heading)}</h2>")
        parts.append('<p class="note">Means with 95 % intervals; baselines are grey.</p>')
        parts.append(_plot(go, result, metric, having, heading))
    return page(result.title, parts)


def _plot(go: Any, result: ExperimentResult, metric: str, groups: list[str], heading: str) -> str:
    figure = go.Figure()
    for group in groups:
        arms = [arm for arm in result.arms if metric in arm.figures.get(group, {})]
        found = [arm.figures[group][metric] for arm in arms]
        colours = [COLOURS.get(arm.status, "#b45309") for arm in arms] if group == ALL else None
        figure.add_scatter(
            x=[one.value for one in found],
            y=[escape(arm.name) for arm in arms],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, one.high - one.value) for one in found],
                "arrayminus": [max(0.0, one.value - one.low) for one in found],
            },
            mode="markers",
            marker={"size": 11 if group == ALL else 7, "color": colours},
            name=escape(group),
            visible=True if group == ALL else "legendonly",
        )
    figure.update_layout(showlegend=len(groups) > 1, scattermode="group")
    figure.update_yaxes(autorange="reversed")
    return rendered(figure, heading, MARGIN_PX + ROW_PX * len(result.arms))
