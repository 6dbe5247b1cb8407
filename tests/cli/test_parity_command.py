"""``ladle-rt parity`` as users run it: what is compared, stated and refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli.parity_command import command
from ladle_rt.errors import BackendError, OutputError
from ladle_rt.models.artifact import DEFAULT_MODEL

WEIGHTS = Path(__file__).resolve().parents[2] / "ladle_rt" / "weights"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pairs."""
    rng = np.random.default_rng(0)
    for folder in ("ir", "vi"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(3):
            coarse = rng.integers(0, 256, (6, 8), dtype=np.uint8)
            picture = cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(tmp_path / "data" / folder / f"{number}.png"), picture)
    return tmp_path / "data"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The shipped checkpoint with its graph beside it."""
    for suffix in (".safetensors", ".json", ".onnx"):
        shutil.copy(WEIGHTS / f"{DEFAULT_MODEL}{suffix}", tmp_path / f"m{suffix}")
    return tmp_path / "m.safetensors"


def run(data: Path, weights: Path, *words: object) -> Result:
    arguments = ["--data", str(data), "--model", str(weights), *map(str, words)]
    return CliRunner().invoke(command, arguments)


def test_engines_agree_with_the_checkpoint(data: Path, weights: Path, tmp_path: Path) -> None:
    written = tmp_path / "p.json"
    result = run(data, weights, "--limit", 2, "--json", written)
    assert result.exit_code == 0, result.output
    values = json.loads(written.read_text())
    assert (values["model"], values["frames"]) == (DEFAULT_MODEL, 2)
    assert set(values["engines"]) == {"onnxruntime", "openvino"}
    for found in values["engines"].values():
        assert 0 < found["mean_abs"] <= found["max_abs"] < 1e-4
    assert "against torch on 2 frames" in result.stdout


def test_an_engine_beyond_the_tolerance_fails(data: Path, weights: Path, tmp_path: Path) -> None:
    result = run(data, weights, "--tolerance", 0, "--json", tmp_path / "p.json")
    assert isinstance(result.exception, BackendError)
    assert "onnxruntime, openvino differ from torch by more than 0" in str(result.exception)
    assert "max |difference|" in result.stdout and (tmp_path / "p.json").exists()


def test_what_was_not_compared_is_named(
    data: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = run(data, weights)
    assert result.exit_code == 0
    assert "openvino was not compared" in result.stdout and "ladle-rt[openvino]" in result.stdout


def test_inputs_are_not_overwritten(data: Path, weights: Path) -> None:
    for target in (weights.with_suffix(".json"), data / "vi/0.png"):
        assert isinstance(run(data, weights, "--json", target).exception, OutputError)
