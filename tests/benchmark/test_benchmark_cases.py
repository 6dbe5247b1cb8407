"""GPU engines and precisions as cases, with a builder and a driver that only pretend."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.benchmark import case_worker, run_benchmark
from ladle_rt.benchmark.benchmark_cases import NO_CALIBRATION, Case, make_cases
from ladle_rt.benchmark.benchmark_settings import BenchmarkSettings
from ladle_rt.benchmark.case_plan import plan_for_case
from ladle_rt.benchmark.case_worker import CaseRequest, measure_case
from ladle_rt.benchmark.latency import LatencyLimits
from ladle_rt.engines.plan import cache
from ladle_rt.engines.plan.cache import Entry, store
from ladle_rt.engines.plan.manifest import PlanManifest
from ladle_rt.errors import BackendError
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.network import Network
from ladle_rt.translate.select import load_network

LIMITS = LatencyLimits(0.05, 10)


def usable() -> str | None:
    return None


def cases(
    model: Path, folder: Path, gpu: Callable[[], str | None] = usable, **values: Any
) -> list[Case]:
    return make_cases(BenchmarkSettings((str(model),), **values), folder, print, gpu)


def told(found: list[Case]) -> dict[tuple[str, str, str], str]:
    return {
        (case.engine.backend, case.engine.device, case.precision): (case.refusal or ("", ""))[1]
        for case in found
    }


def test_every_engine_in_every_precision(tiny_model: Path, tmp_path: Path) -> None:
    found = told(cases(tiny_model, tmp_path))
    ready = {key for key, reason in found.items() if not reason}
    assert ready == {
        ("onnxruntime", "cpu", "fp32"),
        ("onnxruntime", "cpu", "fp16"),
        ("openvino", "cpu", "fp32"),
        ("openvino", "cpu", "fp16"),
        ("torch", "cpu", "fp32"),
        ("torch", "cuda", "fp16"),
        ("torch-tensorrt", "cuda", "fp16"),
        ("tensorrt", "cuda", "fp16"),
        ("tensorrt", "cuda", "fp32"),
    }
    assert {reason for key, reason in found.items() if key not in ready} == {NO_CALIBRATION}
    quick = told(cases(tiny_model, tmp_path, quick=True))
    assert {key[2] for key in quick if key[1] == "cpu"} == {"fp32"}
    assert {key[2] for key in quick if key[1] == "cuda"} == {"fp16"}


def test_without_a_gpu_its_engines_say_so(tiny_model: Path, tmp_path: Path) -> None:
    found = told(cases(tiny_model, tmp_path, lambda: "no GPU here", precisions=("fp16",)))
    assert {reason for key, reason in found.items() if key[1] == "cuda"} == {"no GPU here"}
    assert not found["onnxruntime", "cpu", "fp16"]


def test_a_derived_graph_is_run_and_measured_against_fp32(tiny_model: Path, tmp_path: Path) -> None:
    (case,) = cases(tiny_model, tmp_path, backends=("onnxruntime",), precisions=("fp16",))
    assert case.artifact.info.precision == "fp16" and case.name == "tiny"
    assert case.reference is not None and case.reference.info.precision == "fp32"
    assert case.file is not None and case.file.sha256 == case.artifact.info.onnx_sha256
    # Given by itself, it is what it is, and engines that make their own refuse it.
    given = told(cases(case.artifact.onnx_path, tmp_path))
    assert {key[2] for key in given} == {"fp16"}
    assert "name that one and --precision fp16" in given["tensorrt", "cuda", "fp16"]


class Builder:
    """What ``ladle-rt build-engine`` leaves behind."""

    def __init__(self, model: Path, precision: str, code: int = 0, says: str = "") -> None:
        self._info = load_artifact(model).info
        self._precision, self._code, self._says = precision, code, says
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        folder = Path(command[command.index("--output") + 1])
        if not self._code:
            folder.mkdir(parents=True, exist_ok=True)
            manifest = PlanManifest(
                {"name": "tiny"},
                self._info.onnx_sha256,
                self._precision,
                "tensorrt",
                "10.3",
                [],
                {},
                {"targets": ["sm87"]},
                None,
            ).finished(b"plan", build_seconds=12.5)
            store(folder / "tiny.plan", b"plan", manifest)
        out = "precision: INT8 failed the gate: SSIM 0.9\n"
        return subprocess.CompletedProcess(command, self._code, out, self._says)


@pytest.fixture
def known_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans here have no header of TensorRT's."""

    def inspect(path: Path, wanted: PlanManifest | None = None) -> Entry:
        return Entry(
            path, path.stat().st_size, None, cache.read_manifest(cache.manifest_path(path)), None
        )

    monkeypatch.setattr(cache, "inspect_plan", inspect)


@pytest.mark.usefixtures("known_header")
def test_a_plan_lies_alone_with_its_facts(tiny_model: Path, tmp_path: Path) -> None:
    artifact, builder = load_artifact(tiny_model), Builder(tiny_model, "fp16")
    folder, file = plan_for_case(artifact, "fp16", (64, 96), None, tmp_path, builder)
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.json", "tiny.plan"]
    assert (file.bytes, file.build_s) == (4, 12.5)
    assert file.figures()["build_s"].value == 12.5
    (command,) = builder.commands
    assert command[command.index("--size") + 1] == "96x64"
    assert command[command.index("--precision") + 1] == "fp16" and "--calibration" not in command


@pytest.mark.usefixtures("known_header")
def test_a_plan_of_another_precision_is_no_such_case(tiny_model: Path, tmp_path: Path) -> None:
    artifact = load_artifact(tiny_model)
    with pytest.raises(BackendError, match="no int8 plan: INT8 failed the gate"):
        plan_for_case(artifact, "int8", (64, 96), tmp_path, tmp_path, Builder(tiny_model, "fp16"))
    broken = Builder(tiny_model, "fp16", 1, "building\nladle-rt: error: out of memory\n")
    with pytest.raises(BackendError, match=r"^no fp16 plan: out of memory$"):
        plan_for_case(artifact, "fp16", (64, 96), None, tmp_path / "b", broken)


def test_a_gpu_case_is_measured_like_any_other(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a translator of the CPU in the place of the GPU's."""
    asked: list[Any] = []

    def create(artifact: Any, options: Any, picture: Any, shapes: Any) -> CpuTranslator:
        asked.append((options.backend, options.engines, options.warm_start, shapes))
        network: Network = load_network(artifact)
        return CpuTranslator(network, artifact.info, options, picture, 1)

    monkeypatch.setattr(case_worker, "create_translator", create)
    request = CaseRequest(
        *(str(tiny_model), "tensorrt", "cuda", (64, 96), (96, 128), LIMITS, (2,), None),
        plans=str(tmp_path),
        started_s=0,
    )
    found = measure_case(request)
    assert {name for name, *_ in asked} == {"tensorrt"} and len(asked) == 3
    assert all(engines == tmp_path and not warm for _, engines, warm, _ in asked)
    assert set(found["stages_ms"]) == {"prepare", "device"}
    assert found["figures"]["streams_2_fps"] > 0


def test_a_plan_is_built_once_and_a_failed_one_ends_the_case(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ladle_rt.benchmark import benchmark_cases
    from ladle_rt.benchmark.benchmark_report import EngineFile

    built: list[str] = []

    def build(artifact: Any, precision: str, *_: Any) -> Any:
        built.append(precision)
        if precision == "fp32":
            raise BackendError("no fp32 plan: out of memory")
        return tiny_model.parent, EngineFile("1" * 64, 4, 12.5)

    answer = {
        "figures": {"fps": 60.0},
        "stages_ms": {"device": [1.0, 2.0]},
        "samples_ms": {"idle": [1.0, 2.0], "saturated": [1.0, 2.0]},
        "telemetry": {"throttled": None, "reasons": [], "sources": []},
        "quality": {},
        "sample_jpeg": "",
    }
    monkeypatch.setattr(run_benchmark, "plan_for_case", build)
    monkeypatch.setattr(run_benchmark, "_ask", lambda *_: json.loads(json.dumps(answer)))
    monkeypatch.setattr(run_benchmark, "busy_percent", lambda: 1.0)
    monkeypatch.setattr(benchmark_cases, "why_no_gpu", lambda: None)
    settings = BenchmarkSettings(
        (str(tiny_model),), ("tensorrt",), ("fp16", "fp32"), rounds=2, streams=()
    )
    report = run_benchmark.run_benchmark(settings, "ladle-rt benchmark")
    measured, failed = report.cases
    assert built == ["fp16", "fp32"]
    assert measured.rounds == 2 and measured.figures["build_s"].value == 12.5
    assert measured.engine == EngineFile("1" * 64, 4, 12.5)
    assert replace(failed, reason="").status == "skipped" and "out of memory" in failed.reason
