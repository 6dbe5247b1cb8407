"""``ladle-rt engines``: works where no TensorRT is installed."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli.engines_command import command
from ladle_rt.engines.plan.cache import store
from ladle_rt.engines.plan.manifest import PlanManifest, manifest_path
from ladle_rt.errors import InputError

PLAN = struct.pack("<I20x4B", 0x74727466, 10, 3, 0, 26) + bytes(100)
MANIFEST = PlanManifest(
    model={"name": "tiny"},
    onnx_sha256="a" * 64,
    precision="fp16",
    flavour="tensorrt",
    version="10.3.0.26",
    profiles=[
        [[1, 1, 192, 256], [2, 1, 192, 256], [2, 1, 192, 256]],
        [[1, 1, 32, 32], [2, 1, 384, 512], [2, 1, 640, 640]],
    ],
    flags={"optimization_level": 3},
    device={"name": "Orin", "compute_capability": "8.7", "cuda": "12.6"},
    calibration_sha256=None,
    latency_ms=1.5,
    layers=[{"name": "a", "kind": "Conv", "output": "Half", "tactic": ""}],
    note="asked for",
)


@pytest.fixture(autouse=True)
def _no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("ladle_rt.engines.plan.prune.cuda_devices", lambda: ())


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / MANIFEST.file_name("trt10.3.0")
    store(path, PLAN, MANIFEST.finished(PLAN, build_seconds=2.0))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_list(plan: Path) -> None:
    damaged = plan.with_name("damaged.plan")
    damaged.write_bytes(b"nothing")
    done = run("list", "--folder", plan.parent)
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.replace("│", " ").split())
    for word in (
        "fp16",
        "Orin (sm 8.7",
        "tensorrt 10.3.0.26",
        "256x192",
        "32x32 to 640x640",
        "1.50",
        "fits",
    ):
        assert word in words, word
    assert "received 7 bytes" in words


def test_list_of_nothing(tmp_path: Path) -> None:
    assert "no plans" in run("list", "--folder", tmp_path).output
    done = run("list", "--folder", tmp_path / "none")
    assert isinstance(done.exception, InputError)


def test_inspect(plan: Path) -> None:
    done = run("inspect", plan)
    assert done.exit_code == 0, done.output
    for line in (
        "written by: tensorrt 10.3.0.26",
        "precision: fp16 (asked for)",
        "for: Orin (sm 8.7, CUDA 12.6)",
        "profile: [1, 1, 192, 256] / [2, 1, 192, 256] / [2, 1, 192, 256]",
        f"graph: {'a' * 64}",
        "latency: 1.500 ms a frame",
        "layers: 1 x Conv Half",
        "state: fits its manifest",
    ):
        assert line in done.output, line


def test_inspect_what_does_not_fit(plan: Path) -> None:
    plan.write_bytes(PLAN[:-1])
    assert "damaged" in run("inspect", plan).output
    manifest_path(plan).unlink()
    done = run("inspect", plan)
    assert "written by: tensorrt 10.3.0.26" in done.output
    assert "expected a plan's manifest" in done.output
    assert isinstance(run("inspect", plan.with_name("none.plan")).exception, InputError)


def test_prune_says_first_and_then_does(plan: Path) -> None:
    assert "nothing to remove" in run("prune", "--folder", plan.parent).output
    plan.write_bytes(PLAN[:-1])
    part = plan.with_name(f".{plan.name[:40]}.1.0a1b2c3d.part")
    part.write_bytes(b"half")
    said = run("prune", "--folder", plan.parent, "--dry-run").output
    assert said.count("would remove") == 3 and plan.exists() and part.exists()
    done = run("prune", "--folder", plan.parent)
    assert done.output == said.replace("would remove", "removed")
    assert list(plan.parent.iterdir()) == []
