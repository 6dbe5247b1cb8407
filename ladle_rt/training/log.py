"""The run's logs; resuming cuts them back to the checkpoint it starts from.

A row holds means over the steps since the row before, of each term over the steps that had it:
some terms are not computed at every step.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from ladle_rt.closing import Closing
from ladle_rt.datasets import read_visible
from ladle_rt.files import write_whole
from ladle_rt.training.objective import TERMS

COLUMNS = (
    "step",
    "loss",
    *TERMS,
    "grad_norm",
    "learning_rate",
    "samples_per_s",
    "steps_per_s",
    "data_wait",
    "val_ssim",
    "val_ms_ssim",
    "val_psnr_db",
    "val_chroma_ratio",
    "val_perceptual",
    "val_contrast_ratio",
    "val_sharpness_ratio",
)
"""``data_wait`` is the share of the time spent waiting for data, 0 to 1."""


class Window:
    """Means of the values of some steps, by name."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}
        self._phase = 0

    def add(self, phase: int, values: Mapping[str, float]) -> None:
        """Take a step in; one of another phase starts anew, since its loss is another sum."""
        if phase != self._phase:
            self._sums, self._phase = {}, phase
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value, count + 1

    def read(self) -> dict[str, float]:
        """The means since the last reading."""
        sums, self._sums = self._sums, {}
        return {name: total / count for name, (total, count) in sums.items()}


class CsvLog(Closing):
    """One row per logged step; columns are empty where there was nothing to say."""

    def __init__(self, path: Path, start_step: int) -> None:
        kept: list[dict[str, str]] = []
        if start_step and path.is_file():
            # A kill may have cut the last line short, even inside its step's number.
            lines = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
            kept = [row for row in csv.DictReader(lines) if int(row["step"]) <= start_step]
        # Whole, so that a kill in between does not cost the rows of before.
        write_whole(path, lambda target: _write_rows(target, kept))
        self._stream = path.open("a", encoding="utf-8", newline="", buffering=1)
        self._writer = csv.DictWriter(self._stream, COLUMNS, restval="")

    def write(self, step: int, values: Mapping[str, float], sheet: Path | None) -> None:
        """Append a row; keys are among `COLUMNS`."""
        texts = {name: f"{value:.6g}" for name, value in values.items()}
        self._writer.writerow({"step": str(step), **texts})

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


class TensorBoardLog(Closing):
    """The same values as TensorBoard scalars, and sample sheets as images."""

    def __init__(self, folder: Path, start_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Steps after the checkpoint will be taken again; readers drop the old ones.
        self._writer = SummaryWriter(str(folder), purge_step=start_step + 1)

    def write(self, step: int, values: Mapping[str, float], sheet: Path | None) -> None:
        """Add every value, grouped into training, validation and speed, and the sheet if any."""
        for name, value in values.items():
            self._writer.add_scalar(_tag(name), value, step)
        if sheet is not None:
            self._writer.add_image("sheet", read_visible(sheet), step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


def _tag(name: str) -> str:
    if name.startswith("val_"):
        return f"validation/{name.removeprefix('val_')}"
    return f"speed/{name}" if name in ("samples_per_s", "data_wait") else f"training/{name}"
