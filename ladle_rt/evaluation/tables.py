"""Tables of steadiness and parity, and what all tables have in common. No scikit-image here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich import box
from rich.markup import escape
from rich.table import Table

from ladle_rt.evaluation.parity import Parity
from ladle_rt.evaluation.temporal import VideoReport

Headings = Mapping[str, tuple[str, str]]
"""Heading and number format by metric."""


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
    result = empty_table(("video", "n", "image", "levels"), headings, note)
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


def empty_table(
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
