"""Real benchmarks of a tiny network, each case in its own process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from ladle_rt.benchmark import case_worker
from ladle_rt.benchmark.benchmark_report import BenchmarkReport
from ladle_rt.benchmark.case_worker import CaseRequest, measure_case
from ladle_rt.benchmark.latency import Limits
from ladle_rt.benchmark.run_benchmark import BenchmarkSettings, choose_settings, run_benchmark
from ladle_rt.errors import ConfigError, MissingDependencyError
from ladle_rt.models.artifact import DEFAULT_MODEL, shipped_models

SCHEMA = json.loads(
    (resources.files("ladle_rt.benchmark") / "report_schema.json").read_text(encoding="utf-8")
)
LIMITS = Limits(0.05, 10)


def request(model: Path, backend: str = "onnxruntime") -> CaseRequest:
    return CaseRequest(
        str(model), backend, (64, 96), (96, 128), LIMITS, (2,), str(model), started_s=0
    )


def test_every_case_is_measured_or_says_why_not(tiny_model: Path) -> None:
    settings = BenchmarkSettings(
        (str(tiny_model),), ("onnxruntime", "torch"), rounds=2, limits=LIMITS, streams=(2,)
    )
    seen: list[BenchmarkReport] = []
    report = run_benchmark(settings, "ladle-rt benchmark", seen.append)
    jsonschema.validate(json.loads(json.dumps(report.to_dict())), SCHEMA)
    measured, failed = report.cases
    assert (measured.status, measured.rounds, measured.size) == ("measured", 2, (64, 96))
    assert measured.figures["drift_max_abs"].value == 0
    assert measured.figures["drift_ssim"].value == pytest.approx(1, abs=1e-4)
    assert measured.figures["first_frame_s"].value > measured.figures["load_s"].value > 0
    assert measured.figures["streams_2_fps"].value > 0 and measured.figures["rss_mb"].value > 20
    assert [len(one) for one in measured.samples_ms["idle"]] == [10, 10]
    # The tiny network has no checkpoint that torch could run.
    assert failed.status == "failed" and ".safetensors" in failed.reason
    assert [one.complete for one in seen] == [False] * (len(seen) - 1) + [True]
    assert report.provenance["machine"]["cores"] >= 1


def test_an_interrupted_run_has_handed_out_what_it_had(tiny_model: Path) -> None:
    settings = BenchmarkSettings(
        (str(tiny_model),), ("onnxruntime",), rounds=2, limits=LIMITS, streams=()
    )
    seen: list[BenchmarkReport] = []

    def interrupt(report: BenchmarkReport) -> None:
        seen.append(report)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(settings, "ladle-rt benchmark", interrupt)
    (report,) = seen
    assert not report.complete and report.cases[0].rounds == 1


def test_an_engine_that_is_not_installed_is_skipped(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    asked = request(tiny_model, "openvino")
    with pytest.raises(MissingDependencyError):
        measure_case(asked)
    monkeypatch.setattr(sys, "stdin", io.StringIO(asked.to_json()))
    case_worker.main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] == "skipped" and "ladle-rt[openvino]" in answer["reason"]


def test_drift_is_measured_against_the_reference(
    tiny_model: Path, tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    paler = make_model(tmp_path / "paler.onnx", weight=0.9)
    asked = CaseRequest.from_json(request(paler).to_json())
    assert asked == request(paler)
    own = measure_case(asked)["figures"]
    values = {**json.loads(request(paler).to_json()), "reference": str(tiny_model)}
    other = measure_case(CaseRequest.from_json(json.dumps(values)))["figures"]
    assert own["drift_max_abs"] == 0 < 0.02 < other["drift_max_abs"]
    assert other["drift_ssim"] < own["drift_ssim"]


def test_settings() -> None:
    quick, full = choose_settings(True), choose_settings(False)
    assert quick.models == (DEFAULT_MODEL,) and full.models == tuple(shipped_models())
    assert quick.rounds < full.rounds and quick.limits.seconds < full.limits.seconds
    chosen = choose_settings(True, ("m.onnx",), ("openvino",), ((64, 96),), 7, 0.5)
    assert (chosen.models, chosen.rounds, chosen.limits.seconds) == (("m.onnx",), 7, 0.5)
    with pytest.raises(ConfigError, match=r"onnxruntime, openvino, torch.*received 'tensorrt'"):
        choose_settings(True, backends=("tensorrt",))
    with pytest.raises(ConfigError, match="at least 32x32, received 96x8"):
        choose_settings(True, sizes=((8, 96),))


def test_models_of_one_name_are_refused(tmp_path: Path, make_model: Callable[..., Path]) -> None:
    paths = tuple(str(make_model(tmp_path / f"{name}.onnx")) for name in "ab")
    with pytest.raises(ConfigError, match=r"differ in name or precision, received 'tiny'"):
        run_benchmark(BenchmarkSettings(paths), "ladle-rt benchmark")
