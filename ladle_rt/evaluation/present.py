"""Scores for people, as tables."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from ladle_rt.evaluation.bootstrap import Interval
from ladle_rt.evaluation.report import Report
from ladle_rt.evaluation.tables import Headings, empty_table

FORMATS: Headings = {
    "ssim": ("SSIM", ".3f"),
    "ms_ssim": ("MS-SSIM", ".3f"),
    "ms_ssim_paper": ("MS-SSIM (paper)", ".2g"),
    "psnr_db": ("PSNR dB", ".2f"),
    "l1": ("L1", ".3f"),
    "chroma_ratio": ("chroma ratio", ".2f"),
    "ciede2000": ("CIEDE2000", ".2f"),
}
WITHOUT_INTERVAL = frozenset({"ms_ssim_paper"})
"""Spans decades and is comparable with nothing: its interval is in the JSON only."""


def table(report: Report) -> Table:
    """Models and baselines by light condition; the interval stands below each figure."""
    result = empty_table(("light", "n", "image"), FORMATS, caption(report))
    for light in report.lights():
        for number, row in enumerate(report.rows):
            scores = report.mean(row, light)
            cells = [
                _cell(
                    format(getattr(scores, metric), style),
                    _ends(report.interval(row, metric, light), style),
                )
                if metric not in WITHOUT_INTERVAL
                else format(getattr(scores, metric), style)
                for metric, (_, style) in FORMATS.items()
            ]
            head = (light, str(report.count(light))) if number == 0 else ("", "")
            result.add_row(*head, escape(row), *cells)
        result.add_section()
    return result


def difference_table(report: Report) -> Table:
    """Each further model less the first, by light condition, with paired intervals."""
    first = escape(report.first)
    note = f"difference to {first}, on the same draws; * where 0 is outside the interval"
    shown = {name: heading for name, heading in FORMATS.items() if name not in WITHOUT_INTERVAL}
    result = empty_table(("light", "n", "image"), shown, note)
    for light in report.lights():
        for number, row in enumerate(report.models[1:]):
            cells = []
            for metric, (_, style) in shown.items():
                value = _signed(report.difference(row, metric, light), style)
                ends = _ends(report.interval(row, metric, light, report.first), f"+{style}")
                # As printed: a difference of rounding errors is none.
                apart = ends is not None and (float(ends[0]) > 0 or float(ends[1]) < 0)
                cells.append(_cell(value + "*" * apart, ends))
            head = (light, str(report.count(light))) if number == 0 else ("", "")
            result.add_row(*head, escape(row), *cells)
        result.add_section()
    return result


def caption(report: Report) -> str:
    """What the baselines and the intervals rest on."""
    lines = [f"mean colour: of {report.mean_colour_from}"]
    if len(report.models) > 1:
        lines.append(f"grey copies: the input of {escape(report.first)}")
    by_unit: dict[str, list[str]] = {}
    for light, resampled in report.resampled.items():
        if resampled.means is not None:
            by_unit.setdefault(resampled.over, []).append(light)
    for over, lights in by_unit.items():
        where = "" if len(by_unit) == 1 else f" ({', '.join(lights)})"
        lines.append(f"below each figure: its 95 % bootstrap interval over {over}{where}")
    return "\n".join(lines)


def _ends(interval: Interval | None, style: str) -> tuple[str, str] | None:
    if interval is None:
        return None
    if style.startswith("+"):
        return _signed(interval[0], style[1:]), _signed(interval[1], style[1:])
    return format(interval[0], style), format(interval[1], style)


def _signed(value: float, style: str) -> str:
    text = format(value, f"+{style}")
    return text if float(text) else text.replace("-", "+")


def _cell(value: str, ends: tuple[str, str] | None) -> str:
    return value if ends is None else f"{value}\n[dim]{ends[0]} to {ends[1]}[/dim]"
