"""A report as one page that needs no network: plotly's script is inside (extra ``report``)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ladle_rt.benchmark.benchmark_report import BenchmarkReport, CaseResult
from ladle_rt.benchmark.report_markdown import facts, warnings
from ladle_rt.benchmark.report_plots import plots
from ladle_rt.benchmark.report_tables import ReportTable, report_tables, summary_table
from ladle_rt.errors import require

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem;
  color: #1c2024; background: #fff; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 2rem; }
.warning { border-left: .3rem solid #b45309; background: #fff7ed; padding: .5rem .75rem; }
.note { color: #555; margin-top: -.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #d4d4d8; padding: .3rem .6rem; text-align: left;
  white-space: nowrap; }
td:last-child { white-space: normal; min-width: 6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr));
  gap: 1rem; }
figure { margin: 0; }
figure img { width: 100%; display: block; border-radius: .25rem; }
figcaption { font-size: .875rem; color: #555; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; gap: 0; } dt { font-weight: 600; } dd { margin-bottom: .4rem; }
  .pictures { grid-template-columns: repeat(2, 1fr); gap: .5rem; }
}
"""


def to_html(report: BenchmarkReport) -> str:
    """The whole report.

    Raises:
        MissingDependencyError: plotly is not installed.
    """
    measured = [case for case in report.cases if case.status == "measured"]
    parts = ["<h1>ladle-rt benchmark</h1>"]
    parts += [f'<p class="warning">{escape(text)}</p>' for text in warnings(report)]
    if measured:
        parts.append(_table(summary_table(report), "Summary"))
    parts.append("<h2>Machine and program</h2><dl>")
    parts += [
        f"<dt>{escape(name)}</dt><dd>{escape(value.replace('`', ''))}</dd>"
        for name, value in facts(report)
    ]
    parts.append("</dl>")
    if measured:
        parts.append(_pictures(report, measured))
        parts += [
            f'<h2>{escape(plot.title)}</h2><p class="note">{escape(plot.note)}</p>{plot.html}'
            for plot in plots(measured)
        ]
    parts += [_table(table) for table in report_tables(report)]
    return page("ladle-rt benchmark", parts)


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page of plots, whose script is inside.

    Raises:
        MissingDependencyError: plotly is not installed.
    """
    script = require("plotly.offline", "report").get_plotlyjs()
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<script>{script}</script></head>\n<body>" + "\n".join(parts) + "\n</body></html>\n"
    )


def _pictures(report: BenchmarkReport, cases: list[CaseResult]) -> str:
    """The sample's first frame and every case's picture of it."""
    shown = [("thermal, the built-in synthetic sample", report.thermal_jpeg)]
    shown += [
        (
            f"{case.model} {case.precision} {case.engine_name} {case.size[1]}x{case.size[0]}",
            case.sample_jpeg,
        )
        for case in cases
    ]
    figures = "".join(
        f'<figure><img alt="{escape(title)}" src="data:image/jpeg;base64,{escape(jpeg)}">'
        f"<figcaption>{escape(title)}</figcaption></figure>"
        for title, jpeg in shown
        if jpeg
    )
    if not figures:
        return ""
    note = "One frame of the built-in drive in every case. Colours are synthesised, not measured."
    return (
        f'<h2>Sample frames side by side</h2><p class="note">{note}</p>'
        f'<div class="pictures">{figures}</div>'
    )


def _table(table: ReportTable, title: str = "") -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    rows = "".join(row(cells, "td") for cells in table.rows)
    return (
        f"<h2>{escape(title or table.title)}</h2>{note}"
        f'<div class="wide"><table>{row(table.headings, "th")}{rows}</table></div>'
    )
