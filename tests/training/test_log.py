"""The CSV log goes on where the checkpoint is, whatever a kill left behind it."""

from __future__ import annotations

import csv
from pathlib import Path

from ladle_rt.training.log import COLUMNS, CsvLog, Window


def test_resuming_drops_later_and_damaged_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with CsvLog(path, 0) as log:
        for step in (20, 40, 60):
            log.write(step, {"loss": 1 / step, "val_ssim": 0.5}, None)
    path.write_text(path.read_text() + "8")  # of 80
    with CsvLog(path, 40) as log:
        log.write(60, {"loss": 2.0}, None)
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["step"], row["loss"], row["val_ssim"]) for row in rows] == [
        ("20", "0.05", "0.5"),
        ("40", "0.025", "0.5"),
        ("60", "2", ""),
    ]
    assert tuple(rows[0]) == COLUMNS


def test_a_new_run_starts_a_new_log(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n20,1\n")
    with CsvLog(path, 0):
        pass
    assert path.read_text().splitlines() == [",".join(COLUMNS)]


def test_a_row_is_the_mean_of_the_steps_that_had_the_term() -> None:
    window = Window()
    window.add(0, {"loss": 1.0, "stability": 0.2})
    window.add(0, {"loss": 3.0})
    assert window.read() == {"loss": 2.0, "stability": 0.2}
    window.add(0, {"loss": 5.0})
    window.add(1, {"loss": 1.0})
    assert window.read() == {"loss": 1.0} and window.read() == {}
