"""``ladle-rt build-engine`` with TensorRT-RTX as it is installed, and no GPU."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli.build_engine_command import command
from ladle_rt.engines.plan import ensure_plan
from ladle_rt.errors import ConfigError, LadleError, MissingDependencyError
from ladle_rt.models.artifact import load_artifact


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensure_plan, "cuda_devices", lambda: ())


@pytest.fixture
def rtx(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT-RTX, with graphs taken as they are."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")

    def as_it_is(model: str, *rest: object, **options: object) -> SimpleNamespace:
        artifact = load_artifact(model)
        return SimpleNamespace(artifact=artifact, precision="fp32", reason="asked for", gate=None)

    monkeypatch.setattr(ensure_plan, "select_precision", as_it_is)


def test_builds_then_finds(rtx: None, tiny_model: Path, tmp_path: Path) -> None:
    folder, log = tmp_path / "engines", tmp_path / "log.txt"
    asked = ["--model", tiny_model, "--precision", "fp32", "-o", folder, "--target", "SM89,sm86"]
    asked += ["--size", "32x32", "--size", "96x64", "--opt-level", 0]
    first = run(*asked, "--workspace", 64, "--verbose", log)
    assert first.exit_code == 0, first.output
    (plan,) = folder.glob("tiny-fp32-sm86+sm89-rtx*.plan")
    assert f"{plan}: fp32, built in" in first.output
    assert "none was built yet" in first.output and "not at hand" in first.output
    assert "INFO: " in log.read_text(encoding="utf-8")
    second = run(*asked, "--workspace", 64)
    assert f"{plan}: fp32, already there" in second.output
    third = run(*asked)
    assert "the nearest plan has another build options" in third.output


def test_without_gpu_and_target(rtx: None, tiny_model: Path, tmp_path: Path) -> None:
    done = run("--model", tiny_model, "--precision", "fp32", "-o", tmp_path)
    assert isinstance(done.exception, ConfigError)
    assert "--target" in str(done.exception) and "sm120" in str(done.exception)


def test_int8_names_the_command_that_calibrates(tmp_path: Path) -> None:
    done = run("--precision", "int8", "--target", "sm89", "-o", tmp_path)
    assert isinstance(done.exception, ConfigError)
    assert "`ladle-rt calibrate" in str(done.exception) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "sm90"], "received sm90"),
        (["--target", "sm89", "--size", "50x50"], "divisible by 32"),
        (["--target", "sm89", "--timing-cache", "x"], "leave it out"),
        (["--target", "sm89", "--dla", "0"], "have none"),
        (["--target", "ada"], "names such as sm89"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    rtx: None, tiny_model: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = run("--model", tiny_model, "--precision", "fp32", "-o", tmp_path, *arguments)
    assert isinstance(done.exception, LadleError)
    assert words in str(done.exception) and "\n" not in str(done.exception)
    assert not list(tmp_path.glob("*.plan")) and not list(tmp_path.glob(".*"))


def test_missing_tensorrt_names_the_extra(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt_rtx", None)
    done = run("--precision", "fp32", "--target", "sm89")
    assert isinstance(done.exception, MissingDependencyError)
    assert "ladle-rt[rtx]" in str(done.exception)


def test_defaults_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def stop(request: object, *rest: object) -> None:
        asked.append(request)
        raise ConfigError("enough")

    monkeypatch.setattr(ensure_plan, "ensure_plan", stop)
    run()
    assert asked == [ensure_plan.PlanRequest()]


def test_layers_are_summarised(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    layer = {"name": "a", "kind": "Conv", "output": "Half", "tactic": ""}
    manifest = SimpleNamespace(build_seconds=1.0, layers=[layer, layer])
    plan = SimpleNamespace(path="x.plan", built=True, reason="r", manifest=manifest)
    done = ensure_plan.EnsuredPlan(plan, "fp16", "why", "fast")  # type: ignore[arg-type]
    monkeypatch.setattr(ensure_plan, "ensure_plan", lambda *rest: done)
    assert "   2 x Conv Half\n" in run("--model", load_artifact(tiny_model).onnx_path).output
