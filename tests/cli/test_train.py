"""``ladle-rt train`` and ``export``: refused before anything starts, or run, resumed, exported."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from ladle_rt.cli import export, train
from ladle_rt.errors import ConfigError, InputNotFoundError, LadleError, ModelError


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder in ("ir", "vi"):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
        for number in range(3):
            picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (260, 200))
            cv2.imwrite(str(tmp_path / "pairs" / folder / f"{number}.png"), picture)
    return tmp_path / "pairs"


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--alpha", "2"], ConfigError, "alpha must be in [0, 1], received 2.0"),
        (["--batch", "0"], ConfigError, "batch must be >= 1"),
        (["--batch", "9"], ConfigError, "at most the 3 pairs"),
        (["--preset", "huge"], ConfigError, "preset of ladlenet must be one of"),
        (["--architecture", "gan"], ConfigError, "architecture must be one of"),
        (["--recipe", "none"], ConfigError, "recipe must be one of"),
        (["--validate", "missing"], InputNotFoundError, "expected a dataset folder"),
        (["--data", "missing"], InputNotFoundError, "expected a dataset folder"),
        ([], ConfigError, "at least one dataset"),
    ],
)
def test_refused_before_anything_starts(
    pairs: Path, tmp_path: Path, words: list[str], kind: type[LadleError], message: str
) -> None:
    data = [] if not words or "--recipe" in words else ["--data", str(pairs)]
    # The last --batch wins.
    run = [*data, "--batch", "2", *words, "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(train.command, run)
    assert isinstance(result.exception, kind), result.exception
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_run_resume_export(pairs: Path, tmp_path: Path) -> None:
    words = ["--data", str(pairs), "--validate", str(pairs), "--preset", "nano", "--batch", "2"]
    words += ["--workers", "0", "--steps", "2", "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(train.command, words)
    assert result.exit_code == 0, result.exception
    assert "2/2 loss" in result.stderr and "SSIM" in result.stderr
    best = tmp_path / "run" / "best.safetensors"
    assert str(best) in result.stdout
    assert isinstance(CliRunner().invoke(train.command, words).exception, ConfigError)
    assert CliRunner().invoke(train.command, [*words, "--resume"]).exit_code == 0
    target = ["-o", str(tmp_path / "m.onnx")]
    result = CliRunner().invoke(export.command, [str(best), *target])
    assert result.exit_code == 0, result.exception
    assert "0.36 M parameters" in result.stdout
    missing = CliRunner().invoke(export.command, [str(tmp_path / "none.safetensors"), *target])
    assert isinstance(missing.exception, ModelError)
