"""``ladle-rt export``: which model, which precision, what it says, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli.export_command import command
from ladle_rt.errors import LadleError
from ladle_rt.models.artifact import load_artifact


def export(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_a_shipped_model_by_name_and_by_default(tmp_path: Path) -> None:
    named = export("--model", "ladlenet-compact", "-o", tmp_path / "a.onnx")
    assert named.exit_code == 0 and "ladlenet-compact, fp32" in named.stdout
    assert load_artifact(tmp_path / "a.onnx").info == load_artifact("ladlenet-compact").info
    assert export("-o", tmp_path / "b.onnx").exit_code == 0
    assert load_artifact(tmp_path / "b.onnx").info.name == load_artifact().info.name


def test_fp16_says_how_close_it_is(tmp_path: Path) -> None:
    done = export("--precision", "fp16", "--io", "float16", "-o", tmp_path / "half.onnx")
    assert done.exit_code == 0 and "PSNR to fp32" in done.stdout
    assert load_artifact(tmp_path / "half.onnx").info.derivation["io"] == "float16"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--precision", "int8"], "ladle-rt calibrate"),
        (["--precision", "int8", "--calibration", "none"], "expected a folder made by"),
        (["--model", "nobody"], "expected an .onnx file or one of"),
        (["--io", "float16"], "a float16 border needs"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    tmp_path: Path, words: list[str], line: str
) -> None:
    done = export(*words, "-o", tmp_path / "x.onnx")
    assert isinstance(done.exception, LadleError) and line in str(done.exception)
    assert "\n" not in str(done.exception) and not list(tmp_path.iterdir())


def test_a_taken_place_is_refused_before_any_work(tmp_path: Path) -> None:
    target = tmp_path / "x.onnx"
    target.write_text("mine")
    done = export("--precision", "fp16", "-o", target)
    assert "exists; choose another name" in str(done.exception)
    assert target.read_text() == "mine"


@pytest.mark.parametrize("words", [["w.onnx", "--model", "m"], ["--metrics", "m.json"]])
def test_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    assert export(*words, "-o", tmp_path / "x.onnx").exit_code == 2
