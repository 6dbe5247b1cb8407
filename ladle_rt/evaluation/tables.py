"""Figures for people, as tables that 120 columns hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from rich import box
from rich.markup import escape
from rich.table import Table

from ladle_rt.evaluation.bootstrap import Interval
from ladle_rt.evaluation.comparison import GRADED
from ladle_rt.evaluation.eval_model import SIZE
from ladle_rt.evaluation.kid import ROUGH_BELOW
from ladle_rt.evaluation.parity import Parity
from ladle_rt.evaluation.report import Report
from ladle_rt.evaluation.result import EvaluationResult
from ladle_rt.evaluation.temporal_metrics import VideoReport

Headings = Mapping[str, tuple[str, str]]
"""Heading and number format by metric."""

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
FEATURE_BASED = frozenset({"perceptual", "kid"})
WITHOUT_INTERVAL = frozenset({"ms_ssim_paper"})
"""Spans decades and is comparable with nothing: its interval is in the JSON only."""


def tables(evaluation: EvaluationResult) -> Iterator[Table]:
    """Everything that an evaluation found, one table below the other."""
    raw, chosen, look = evaluation.raw, evaluation.chosen, evaluation.look
    yield _table(raw, RECORD, "Against the raw truth", caption(evaluation))
    if len(raw.models) > 1:
        yield difference_table(raw, RECORD)
    hidden = set() if raw.has_perceptual else set(FEATURE_BASED)
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
    result = _empty_table(("light", "n", "image"), shown, note)
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


def caption(evaluation: EvaluationResult) -> str:
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


def video_table(reports: Sequence[VideoReport]) -> Table:
    """Temporal figures: one section per video, the truth's own values last."""
    headings = {
        "warping_l1": ("warping\nL1 /255", ".3f"),
        "warping_ratio": ("of the\ntruth's", ".2f"),
        "warping_mse": ("warping\nMSE e-5", ".2f"),
        "flicker": ("static flicker\n/255", ".3f"),
        "ssim": ("SSIM", ".3f"),
        "psnr_db": ("PSNR\ndB", ".2f"),
    }
    note = (
        "levels: smoothed as `ladle-rt video` does, or each frame's own; the truth's values are "
        "the floor\nFlow and static regions are those of the thermal video. A still picture would "
        "score 0: read beside SSIM."
    )
    result = _empty_table(("video", "n", "image", "levels"), headings, note)
    for report in reports:
        for number, ((row, levels), scores) in enumerate(report.rows.items()):
            cells = []
            figures = {**asdict(scores), "warping_ratio": report.warping_ratio(row, levels)}
            figures["warping_mse"] *= 1e5
            for metric, (_, style) in headings.items():
                value = figures[metric]
                # Nothing measured, or the truth against itself.
                cells.append(format(value, style) if math.isfinite(value) else "")
            head = (escape(report.name), str(report.frames)) if number == 0 else ("", "")
            result.add_row(*head, escape(row), levels, *cells)
        result.add_section()
    return result


def parity_table(name: str, found: Parity) -> Table:
    """Each engine's distance from torch."""
    note = f"against torch on {found.frames} frame{'s' * (found.frames != 1)}, RGB in [0,1]"
    result = Table(caption=note, caption_justify="left")
    for heading in ("model", "engine"):
        result.add_column(heading, no_wrap=True)
    for heading in ("max |difference|", "mean |difference|"):
        result.add_column(heading, justify="right", no_wrap=True)
    for number, (engine, one) in enumerate(found.engines.items()):
        head = escape(name) if number == 0 else ""
        result.add_row(head, engine, f"{one.max_abs:.2e}", f"{one.mean_abs:.2e}")
    return result


def _meaning(report: Report) -> str:
    """What the figures of naturalness are."""
    lines = [
        "contrast, chroma, sharpness: output over truth, 1 is as natural; "
        "colourful and black L* beside the truth's"
    ]
    if report.has_perceptual:
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
    result = _empty_table(("light", "n", "image"), figures, note, title)
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


def _empty_table(
    heads: tuple[str, ...], figures: Headings, note: str, title: str | None = None
) -> Table:
    """Columns for words, then one for each metric."""
    result = Table(
        title=title,
        title_justify="left",
        caption=note,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for name in heads:
        result.add_column(name, justify="right" if name == "n" else "left", no_wrap=True)
    for name, _ in figures.values():
        result.add_column(name, justify="right", overflow="fold")
    return result
