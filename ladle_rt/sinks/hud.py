"""Figures written into a picture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frame_stats import FrameStats

HELP = (
    "q  quit", "l  layout", "p  palette", "i  isotherm", "r  record", "s  snapshot", "h  figures",
    "?  this help",
)  # fmt: skip
BRIGHT, WARNING = (240, 240, 240), (255, 170, 60)


def lines_of(figures: FrameStats, recording: bool) -> list[tuple[str, tuple[int, int, int]]]:
    """What is written, with its colour (RGB)."""
    recent = figures.recent_latency_ms
    dropped = sum(figures.dropped.values())
    height, width = figures.network_size
    lines = [
        (f"{figures.fps_presented:.1f} fps   {recent.p50:.0f} / {recent.p95:.0f} ms", BRIGHT),
        (f"{dropped} dropped   network {width}x{height}", BRIGHT),
    ]
    if figures.problem is not None:
        lines.append((figures.problem[:70], WARNING))
    if recording:
        lines.append(("REC", (255, 60, 60)))
    return lines


def draw(
    picture: npt.NDArray[np.uint8], lines: list[tuple[str, tuple[int, int, int]]]
) -> npt.NDArray[np.uint8]:
    """Write lines at the top left, each readable on any background.

    Args:
        picture: HxWx3 uint8, RGB; left as it is.
        lines: texts and their colours (RGB).

    Returns:
        A new picture.
    """
    result = picture.copy()
    scale = float(np.clip(picture.shape[0] / 700, 0.35, 1.5))
    step = round(30 * scale)
    for number, (text, colour) in enumerate(lines):
        place = (round(10 * scale), step * (number + 1))
        for shade, thickness in (((0, 0, 0), 3), (colour, 1)):
            cv2.putText(
                result, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, shade,
                max(1, round(thickness * scale)), cv2.LINE_AA,
            )  # fmt: skip
    return result
