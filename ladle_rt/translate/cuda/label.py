"""The on-screen mark, drawn once on the host and copied into pictures on the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ladle_rt.frames import PixelFormat
from ladle_rt.translate.colorize import draw_label


@dataclass(frozen=True, slots=True)
class Label:
    """The mark's pixels: what they cover is theirs alone."""

    values: npt.NDArray[np.uint8]
    """HxW: luma for ``yuv420p``, one value for R, G and B for ``rgb24``."""
    top: int
    left: int


def draw(size: tuple[int, int], pixel_format: PixelFormat) -> Label | None:
    """The label as the CPU path draws it, or ``None`` where it would not fit."""
    dark, bright = (16, 235) if pixel_format == "yuv420p" else (0, 255)
    # What it covers is the same on any background.
    drawn = [np.full(size, background, np.uint8) for background in (dark, bright)]
    for image in drawn:
        draw_label(image, dark, bright)
    rows, columns = np.nonzero(drawn[0] == drawn[1])
    if not rows.size:
        return None
    top, left = int(rows.min()), int(columns.min())
    return Label(np.ascontiguousarray(drawn[0][top:, left:]), top, left)
