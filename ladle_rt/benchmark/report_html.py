"""A report as one page that needs no network: plotly's script is inside (extra ``report``)."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from ladle_rt.benchmark.benchmark_report import BenchmarkReport, CaseResult
from ladle_rt.benchmark.report_markdown import ReportTable, facts, report_tables, warnings
from ladle_rt.errors import require

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem;
  color: #1c2024; background: #fff; }
h1, h2 { line-height: 1.2; }
.warning { border-left: .3rem solid #b45309; background: #fff7ed; padding: .5rem .75rem; }
.note { color: #555; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { border-bottom: 1px solid #d4d4d8; padding: .3rem .6rem; text-align: left;
  white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { font-weight: 600; } }
"""
STAGES = ("prepare", "network", "picture")


def to_html(report: BenchmarkReport) -> str:
    """The whole report.

    Raises:
        MissingDependencyError: plotly is not installed.
    """
    script = require("plotly.offline", "report").get_plotlyjs()
    measured = [case for case in report.cases if case.status == "measured"]
    parts = ["<h1>ladle-rt benchmark</h1>"]
    parts += [f'<p class="warning">{escape(text)}</p>' for text in warnings(report)]
    parts.append("<dl>")
    parts += [
        f"<dt>{escape(name)}</dt><dd>{escape(value.replace('`', ''))}</dd>"
        for name, value in facts(report)
    ]
    parts.append("</dl>")
    if measured:
        parts += [f"<h2>{title}</h2>{plot}" for title, plot in _plots(measured)]
    parts += [_table(table) for table in report_tables(report)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>ladle-rt benchmark</title><style>{STYLE}</style>"
        f"<script>{script}</script></head>\n<body>" + "\n".join(parts) + "\n</body></html>\n"
    )


def _plots(cases: list[CaseResult]) -> Iterator[tuple[str, str]]:
    go = require("plotly.graph_objects", "report")
    labels = [_label(case) for case in cases]
    for state, title in (
        ("idle", "Latency, one frame at a time"),
        ("saturated", "Latency, saturated"),
    ):
        boxes = go.Figure(
            [
                go.Box(x=_joined(case, state), name=label, boxpoints=False)
                for case, label in zip(cases, labels, strict=True)
            ]
        )
        yield title, _plot(boxes, "ms", len(cases))
    bars = go.Figure(
        [
            go.Bar(
                x=[case.stages_ms[stage]["p50"].value for case in cases],
                y=labels,
                name=stage,
                orientation="h",
            )
            for stage in STAGES
        ]
    )
    bars.update_layout(barmode="stack", showlegend=True)
    yield "Stages of an idle frame, medians", _plot(bars, "ms", len(cases))
    lines = go.Figure(
        [
            go.Scatter(y=_joined(case, "saturated"), name=label, mode="lines")
            for case, label in zip(cases, labels, strict=True)
        ]
    )
    lines.update_layout(showlegend=True, yaxis_title="ms")
    yield "Saturated latency over the run, all rounds", _plot(lines, "frame", 6)


def _plot(figure: Any, x_title: str, rows: int) -> str:
    figure.update_layout(
        template="plotly_white",
        height=160 + 40 * rows,
        margin={"l": 10, "r": 10, "t": 30, "b": 40},
        xaxis_title=x_title,
        legend={"orientation": "h", "y": -0.25},
    )
    if figure.layout.showlegend is None:
        figure.update_layout(showlegend=False)
    figure.update_xaxes(rangemode="tozero", automargin=True)
    figure.update_yaxes(automargin=True)
    config = {"responsive": True, "displaylogo": False}
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, config=config)
    return html


def _label(case: CaseResult) -> str:
    """Two lines, so that a phone has room for the plot."""
    height, width = case.size
    return f"{escape(case.model)}<br>{case.precision} {case.backend} {width}x{height}"


def _joined(case: CaseResult, state: str) -> list[float]:
    return [value for one in case.samples_ms[state] for value in one]


def _table(table: ReportTable) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    rows = "".join(row(cells, "td") for cells in table.rows)
    return (
        f"<h2>{escape(table.title)}</h2>{note}"
        f'<div class="wide"><table>{row(table.headings, "th")}{rows}</table></div>'
    )
