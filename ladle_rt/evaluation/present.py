"""Scores for people, as tables that 120 columns hold."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from ladle_rt.evaluation.bootstrap import Interval
from ladle_rt.evaluation.contestant import SIZE
from ladle_rt.evaluation.kernel import ROUGH_BELOW
from ladle_rt.evaluation.outcome import Evaluation
from ladle_rt.evaluation.report import Report
from ladle_rt.evaluation.tables import Headings, empty_table
from ladle_rt.evaluation.views import GRADED

RECORD: Headings = {
    "ssim": ("SSIM", ".3f"),
    "ms_ssim": ("MS-SSIM", ".3f"),
    "ms_ssim_paper": ("MS-SSIM (paper)", ".2g"),
    "psnr_db": ("PSNR dB", ".2f"),
    "l1": ("L1", ".3f"),
    "chroma_ratio": ("chroma ratio", ".2f"),
    "ciede2000": ("CIEDE2000", ".2f"),
}
"""The figures of record, against the raw truth."""
NATURAL: Headings = {
    "ssim": ("SSIM", ".3f"),
    "ms_ssim": ("MS-\nSSIM", ".3f"),
    "psnr_db": ("PSNR\ndB", ".2f"),
    "ciede2000": ("CIEDE\n2000", ".2f"),
    "perceptual": ("perc.\ndist.", ".3f"),
    "kid": ("KID", ".3f"),
    "contrast_ratio": ("con-\ntrast", ".2f"),
    "chroma_ratio": ("chro-\nma", ".2f"),
    "sharpness_ratio": ("sharp-\nness", ".3f"),
    "colourfulness": ("colour-\nful", ".1f"),
    "black_point": ("black\nL*", ".1f"),
}
"""The picture as painted."""
OF_TRUTH = ("colourfulness", "black_point")
"""Figures that the truth has by itself, for its own row."""
JUDGED = frozenset({"perceptual", "kid"})
WITHOUT_INTERVAL = frozenset({"ms_ssim_paper"})
"""Spans decades and is comparable with nothing: its interval is in the JSON only."""


def tables(evaluation: Evaluation) -> Iterator[Table]:
    """Everything that an evaluation found, one table below the other."""
    raw, chosen, look = evaluation.raw, evaluation.chosen, evaluation.look
    yield _table(raw, RECORD, "Against the raw truth", caption(evaluation))
    if len(raw.models) > 1:
        yield difference_table(raw, RECORD)
    hidden = set() if raw.judged else set(JUDGED)
    if look == "none":
        hidden |= RECORD.keys() - {"chroma_ratio"}
    shown = {name: heading for name, heading in NATURAL.items() if name not in hidden}
    truth = "the raw truth" if look == "none" else f"the truth in the {look} look"
    yield _table(chosen, shown, f"As painted, against {truth}", _meaning(chosen), of_truth=True)
    if len(raw.models) > 1:
        yield difference_table(chosen, shown)
    if GRADED in evaluation.reports:
        title = f"Output graded as well, against {truth}: flatters fog"
        note = "nobody sees these pictures: grading each by itself would flicker"
        yield _table(evaluation.reports[GRADED], shown, title, note, of_truth=True)


def difference_table(report: Report, figures: Headings) -> Table:
    """Each further model less the first, by light condition, with paired intervals."""
    first = escape(report.first)
    note = f"difference to {first}, on the same draws; * where 0 is outside the interval"
    unpaired = WITHOUT_INTERVAL | {"kid"}
    shown = {name: heading for name, heading in figures.items() if name not in unpaired}
    result = empty_table(("light", "n", "image"), shown, note)
    for light in report.lights():
        for number, row in enumerate(report.models[1:]):
            cells = []
            for metric, (_, style) in shown.items():
                value = _signed(report.difference(row, metric, light), style)
                ends = report.interval(row, metric, light, report.first)
                # As printed: a difference of rounding errors is none.
                low, high = (float(format(end, style)) for end in ends or (0, 0))
                cells.append(_cell(value + "*" * (low > 0 or high < 0), ends, style))
            result.add_row(*_head(report, light, number), escape(row), *cells)
        result.add_section()
    return result


def caption(evaluation: Evaluation) -> str:
    """What the baselines and the intervals rest on."""
    report = evaluation.raw
    height, width = evaluation.size
    lines = [] if evaluation.size == SIZE else [f"at {width}x{height}: no figures of record"]
    lines.append(f"mean colour: of {evaluation.mean_colour_from}")
    if len(report.models) > 1:
        lines.append(f"grey copies: the input of {escape(report.first)}")
    by_unit: dict[str, list[str]] = {}
    for light, resampled in report.resampled.items():
        if resampled.means is not None:
            by_unit.setdefault(resampled.over, []).append(light)
    for over, lights in by_unit.items():
        where = "" if len(by_unit) == 1 else f" ({', '.join(lights)})"
        lines.append(f"below each figure: half its 95 % bootstrap interval over {over}{where}")
    return "\n".join(lines)


def _meaning(report: Report) -> str:
    """What the figures of naturalness are."""
    lines = [
        "contrast, chroma, sharpness: output over truth, 1 is as natural; "
        "colourful and black L* beside the truth's"
    ]
    if report.judged:
        lines.append("perceptual distance (not LPIPS) and KID: on features that no training saw")
        pictures = [
            one.pictures for found in report.kernel_distances.values() for one in found.values()
        ]
        if not pictures or min(pictures) < ROUGH_BELOW:
            lines.append(f"KID is rough below {ROUGH_BELOW} pictures, as here")
        if pictures and max(pictures) < len(report.examples):
            lines.append(f"KID: over {max(pictures)} pictures, evenly spaced")
    return "\n".join(lines)


def _table(
    report: Report, figures: Headings, title: str, note: str, of_truth: bool = False
) -> Table:
    """Models and baselines by light condition; half the interval stands below each figure."""
    result = empty_table(("light", "n", "image"), figures, note, title)
    for light in report.lights():
        for number, row in enumerate(report.rows):
            cells = [
                _figure(report, row, metric, light, style) for metric, (_, style) in figures.items()
            ]
            result.add_row(*_head(report, light, number), escape(row), *cells)
        if of_truth:
            scores = report.mean(report.first, light)
            cells = [
                format(getattr(scores, f"{metric}_truth"), style) if metric in OF_TRUTH else ""
                for metric, (_, style) in figures.items()
            ]
            result.add_row("", "", "truth", *cells)
        result.add_section()
    return result


def _head(report: Report, light: str, number: int) -> tuple[str, str]:
    """The light condition and its images, in its first line only."""
    return (light, str(report.count(light))) if number == 0 else ("", "")


def _figure(report: Report, row: str, metric: str, light: str, style: str) -> str:
    if metric == "kid":
        found = report.kernel_distances[light].get(row)
        return "" if found is None else _cell(format(found.value, style), found.interval, style)
    value = format(getattr(report.mean(row, light), metric), style)
    if metric in WITHOUT_INTERVAL:
        return value
    return _cell(value, report.interval(row, metric, light), style)


def _signed(value: float, style: str) -> str:
    text = format(value, f"+{style}")
    return text if float(text) else text.replace("-", "+")


def _cell(value: str, ends: Interval | None, style: str) -> str:
    if ends is None:
        return value
    return f"{value}\n[dim]±{format((ends[1] - ends[0]) / 2, style)}[/dim]"
