"""The run's CSV log; resuming cuts it back to the checkpoint it starts from."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType

_DAMAGED = 1 << 62
"""Step of a row that a kill cut short: later than any, so that resuming drops it."""

COLUMNS = (
    "step",
    "loss",
    "l1",
    "ssim",
    "ms_ssim",
    "chroma",
    "saturation",
    "learning_rate",
    "samples_per_s",
    "val_ssim",
    "val_ms_ssim",
    "val_psnr_db",
    "val_chroma_ratio",
)


class CsvLog:
    """One row per logged step; validation columns are empty where none was run."""

    def __init__(self, path: Path, start_step: int) -> None:
        kept: list[dict[str, str]] = []
        if start_step and path.is_file():
            with path.open(encoding="utf-8", newline="") as stream:
                kept = [row for row in csv.DictReader(stream) if _step(row) <= start_step]
        self._stream = path.open("w", encoding="utf-8", newline="", buffering=1)
        self._writer = csv.DictWriter(self._stream, COLUMNS, restval="")
        self._writer.writeheader()
        self._writer.writerows(kept)

    def write(self, values: dict[str, float]) -> None:
        """Append a row; keys are among `COLUMNS`."""
        self._writer.writerow({k: v if k == "step" else f"{v:.6g}" for k, v in values.items()})

    def __enter__(self) -> CsvLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()


def _step(row: dict[str, str]) -> int:
    text = row.get("step") or ""
    return int(text) if text.isdigit() else _DAMAGED
