"""``ladle-rt calibrate`` at the command line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli.calibrate_command import command
from ladle_rt.engines.calibration.calibration_set import CalibrationSet
from ladle_rt.errors import ConfigError, InputError, ModelError, OutputError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "ir").mkdir()
    for number in range(12):
        image = rng.integers(0, 200, (48, 64)).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / "ir" / f"{number:05d}D.png"), image)
    return tmp_path / "ir"


def test_writes_a_set_and_tells_how_it_spreads(
    images: Path, tiny_model: Path, tmp_path: Path
) -> None:
    done = run("--model", tiny_model, "--data", images, "-n", 8, "-o", tmp_path / "set")
    assert done.exit_code == 0, done.output
    made = CalibrationSet.read(tmp_path / "set")
    assert made.manifest.method == "kl" and len(made.manifest.frames) == 8
    assert "8 day" in done.output and "sequences" in done.output and "kinds" in done.output
    assert f"{tmp_path / 'set'}: 8 frames, 2 held out, 0 ranges (kl) for tiny" in done.output


def test_options_reach_the_library(images: Path, tiny_model: Path, tmp_path: Path) -> None:
    target = tmp_path / "set"
    asked = ["--model", tiny_model, "--data", images, "--method", "minmax", "-n", 8, "-o", target]
    assert run(*asked).exit_code == 0
    assert CalibrationSet.read(target).manifest.method == "minmax"
    assert isinstance(run(*asked).exception, OutputError)
    assert run(*asked, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("changed", "kind", "told"),
    [
        (("--model", "nix"), ModelError, "found neither"),
        (("-n", "3"), ConfigError, "at least 8"),
        (("--data", "nowhere"), InputError, "nowhere"),
        (("--image-list", "absent.txt"), ConfigError, "one dataset"),
    ],
)
def test_bad_input(
    changed: tuple[str, str],
    kind: type[Exception],
    told: str,
    images: Path,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    asked = ["--model", tiny_model, "--data", images, "--data", images, "-o", tmp_path / "set"]
    done = run(*asked, *changed)
    assert isinstance(done.exception, kind) and told in str(done.exception)
    assert "\n" not in str(done.exception) and not (tmp_path / "set").exists()


def test_unknown_method_and_missing_data(tmp_path: Path) -> None:
    assert run("-o", tmp_path / "set").exit_code == 2
    assert run("--data", tmp_path, "-o", tmp_path, "--method", "entropy").exit_code == 2
