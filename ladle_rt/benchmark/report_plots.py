"""The plots of a report's page, by plotly (extra ``report``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from ladle_rt.benchmark.benchmark_report import CaseResult
from ladle_rt.errors import require

ROW_PX, MARGIN_PX = 44, 110
LINE_PLOT_PX = 420
FRONTIER = (
    ("truth_ms_ssim", "MS-SSIM to truth"),
    ("best_ms_ssim", "MS-SSIM to fp32 at the largest size"),
    ("best_ssim", "SSIM to fp32 at the largest size"),
)
"""What the frontier shows, the first that was measured."""


class Plot(NamedTuple):
    """One plot and what to read in it."""

    title: str
    note: str
    html: str


def plots(cases: Sequence[CaseResult]) -> Iterator[Plot]:
    """Every plot that the cases have figures for.

    Args:
        cases: measured ones.

    Raises:
        MissingDependencyError: plotly is not installed.
    """
    go = require("plotly.graph_objects", "report")
    yield from _frontier(go, cases)
    for state, title in (("idle", "one frame at a time"), ("saturated", "saturated")):
        boxes = go.Figure(
            [
                go.Box(
                    x=_joined(case, state),
                    name=_label(case),
                    boxpoints="outliers",
                    marker={"size": 3},
                    hoverinfo="x",
                )
                for case in cases
            ]
        )
        boxes.update_yaxes(autorange="reversed")
        yield Plot(
            f"Latency, {title}",
            "All frames of all rounds: quartiles, whiskers at 1.5 times their distance, outliers.",
            rendered(boxes, "ms", MARGIN_PX + ROW_PX * len(cases)),
        )
    yield Plot(
        "Stage timeline of an idle frame",
        "Medians, from the frame's arrival at the left to its picture.",
        _timeline(go, cases),
    )
    drifting = [case for case in cases if case.drift_by_frame]
    if drifting:
        lines = _lines(go, [(case, case.drift_by_frame) for case in drifting], "lines+markers")
        lines.update_layout(yaxis_title="mean difference, RGB in [0,1]")
        lines.update_xaxes(tickformat="d")
        yield Plot(
            "Drift over the sample",
            "Mean difference to fp32 in ONNX Runtime, frame by frame; frames are half a second "
            "apart.",
            rendered(lines, "frame", LINE_PLOT_PX),
        )
    lines = _lines(go, [(case, _joined(case, "saturated")) for case in cases], "lines")
    lines.update_layout(yaxis_title="ms")
    yield Plot(
        "Saturated latency over the run",
        "All rounds, one after another; a slope means that the machine changed.",
        rendered(lines, "frame", LINE_PLOT_PX),
    )


def _frontier(go: Any, cases: Sequence[CaseResult]) -> Iterator[Plot]:
    """Quality over latency; nothing is better than those on the line."""
    measured = [one for one in FRONTIER if any(one[0] in case.figures for case in cases)]
    if not measured:
        return
    name, title = measured[0]
    known = [case for case in cases if name in case.figures]
    points = [(c.figures["idle_p50_ms"].value, c.figures[name].value, c) for c in known]
    best, front = float("-inf"), []
    for x, y, _ in sorted(points, key=lambda point: point[:2]):
        if y > best:
            best = y
            front.append((x, y))
    figure = go.Figure(
        [
            go.Scatter(
                x=[x for x, _ in front],
                y=[y for _, y in front],
                mode="lines",
                line={"color": "#94a3b8", "shape": "hv"},
                name="frontier",
                hoverinfo="skip",
            )
        ]
    )
    for x, y, case in points:
        figure.add_scatter(
            x=[x],
            y=[y],
            name=_name(case),
            mode="markers",
            marker={"size": 11},
            hovertemplate=f"{_name(case)}<br>%{{x:.1f}} ms<br>%{{y:.4f}}<extra></extra>",
        )
    figure.update_layout(showlegend=True, yaxis_title=title)
    yield Plot(
        "Latency against quality",
        f"{title}, over the median latency of one frame; up and left is better.",
        rendered(figure, "ms", LINE_PLOT_PX + 20 * len(points)),
    )


def _timeline(go: Any, cases: Sequence[CaseResult]) -> str:
    stages = dict.fromkeys(stage for case in cases for stage in case.stages_ms)
    bars = go.Figure()
    for stage in stages:
        having = [case for case in cases if stage in case.stages_ms]
        bars.add_bar(
            x=[case.stages_ms[stage]["p50"].value for case in having],
            y=[_label(case) for case in having],
            name=stage,
            orientation="h",
        )
    bars.update_layout(barmode="stack", showlegend=True, legend_traceorder="normal")
    bars.update_yaxes(autorange="reversed")
    return rendered(bars, "ms", MARGIN_PX + 30 + ROW_PX * len(cases))


def _lines(go: Any, series: Sequence[tuple[CaseResult, Sequence[float]]], mode: str) -> Any:
    figure = go.Figure(
        [go.Scatter(y=list(values), name=_name(case), mode=mode) for case, values in series]
    )
    figure.update_layout(showlegend=True)
    return figure


def rendered(figure: Any, x_title: str, height: int) -> str:
    """A plotly figure in the style of the reports, as HTML without plotly's script."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 10, "t": 10, "b": 40},
        xaxis_title=x_title,
        # Above the plot a legend pushes it down, and hides nothing on a phone.
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
        font={"size": 12},
    )
    if figure.layout.showlegend is None:
        figure.update_layout(showlegend=False)
    figure.update_xaxes(rangemode="tozero", automargin=True)
    figure.update_yaxes(automargin=True)
    config = {"responsive": True, "displaylogo": False, "displayModeBar": False}
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, config=config)
    return html


def _name(case: CaseResult) -> str:
    height, width = case.size
    return escape(f"{case.model} {case.precision} {case.engine_name} {width}x{height}")


def _label(case: CaseResult) -> str:
    """Two lines, so that a phone has room for the plot."""
    height, width = case.size
    return f"{escape(case.model)}<br>{case.precision} {escape(case.engine_name)} {width}x{height}"


def _joined(case: CaseResult, state: str) -> list[float]:
    return [value for one in case.samples_ms[state] for value in one]
