"""Recorded results carry what makes them worth reading, and fit the schema."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path

import jsonschema
import pytest
from helpers import Spread, write_result

from ladle_rt.benchmark.provenance import machine, versions

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SCHEMA = json.loads((BENCHMARKS / "schema.json").read_text(encoding="utf-8"))


def test_written_results_fit_the_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks/video_cpu.py", "--runs", "3"])
    path = tmp_path / "new" / "result.json"
    write_result(path, "video_cpu", {"runs": 3}, {"naive": {"wall_s": [1, 2, 3]}})
    record = json.loads(path.read_text())
    jsonschema.validate(record, SCHEMA)
    assert record["command"] == "python benchmarks/video_cpu.py --runs 3"
    assert record["machine"] == machine() and record["versions"] == versions()


def test_results_are_written_on_the_oldest_python_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python 3.10 has no such name.
    monkeypatch.delattr(datetime, "UTC", raising=False)
    write_result(tmp_path / "result.json", "video_cpu", {}, {})


def test_spread() -> None:
    assert Spread.of([3.0, 1.0, 2.00001]).to_list() == [1.0, 2.0, 3.0]


def test_recorded_results_fit_the_schema() -> None:
    recorded = sorted((BENCHMARKS / "results").glob("*.json"))
    assert recorded
    for path in recorded:
        jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)
