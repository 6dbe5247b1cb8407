"""An evaluation for people: a table and a contact sheet."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from rich.table import Table

from ladle_rt.errors import ConfigError
from ladle_rt.evaluation.evaluate import Example, Report

SHEET_COLUMNS = 3
CAPTION_HEIGHT = 16


def table(report: Report) -> Table:
    """One row per light condition and model or baseline."""
    result = Table(caption=f"mean colour: of {report.mean_colour_from}")
    for name in ("light", "n", "image"):
        result.add_column(name, justify="right" if name == "n" else "left", no_wrap=True)
    headings = ("SSIM", "MS-SSIM", "MS-SSIM (paper)", "PSNR dB", "L1", "chroma ratio", "CIEDE2000")
    for name in headings:
        result.add_column(name, justify="right")
    for light in report.lights():
        for number, row in enumerate(report.rows):
            scores = report.mean(row, light)
            result.add_row(
                light if number == 0 else "",
                str(report.count(light)) if number == 0 else "",
                row,
                f"{scores.ssim:.3f}",
                f"{scores.ms_ssim:.3f}",
                f"{scores.ms_ssim_paper:.2g}",
                f"{scores.psnr_db:.2f}",
                f"{scores.l1:.4f}",
                f"{scores.chroma_ratio:.2f}",
                f"{scores.ciede2000:.2f}",
            )
        result.add_section()
    return result


def contact_sheet(report: Report) -> npt.NDArray[np.uint8]:
    """Thermal, output and truth of every image, worst SSIM first.

    Returns:
        HxWx3 uint8 RGB, owned by the caller.

    Raises:
        ConfigError: the evaluation kept no pictures.
    """
    ranked = sorted(report.examples, key=lambda example: example.scores[report.rows[0]].ssim)
    tiles = [_tile(example, report.rows[0]) for example in ranked]
    while len(tiles) % SHEET_COLUMNS:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [
        np.hstack(tiles[start : start + SHEET_COLUMNS])
        for start in range(0, len(tiles), SHEET_COLUMNS)
    ]
    return np.vstack(rows)


def _tile(example: Example, row: str) -> npt.NDArray[np.uint8]:
    if example.strip is None:
        raise ConfigError("a contact sheet needs an evaluation with keep_strips=True")
    caption = np.zeros((CAPTION_HEIGHT, example.strip.shape[1], 3), np.uint8)
    text = f"{example.name} {example.light}  SSIM {example.scores[row].ssim:.3f}"
    cv2.putText(caption, text, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return np.vstack([caption, example.strip])
