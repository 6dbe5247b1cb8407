"""Real benchmarks of a tiny network, each case in its own process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import pytest

from ladle_rt.benchmark import benchmark_cases, case_worker
from ladle_rt.benchmark.benchmark_report import BenchmarkReport
from ladle_rt.benchmark.benchmark_settings import BenchmarkSettings, choose_settings, find_truth
from ladle_rt.benchmark.case_worker import (
    CaseRequest,
    QualityRequest,
    measure_case,
    pair_to_dict,
)
from ladle_rt.benchmark.latency import LatencyLimits
from ladle_rt.benchmark.picture_quality import MOST_DB
from ladle_rt.benchmark.run_benchmark import run_benchmark
from ladle_rt.cuda.probe import NoCudaDriverError
from ladle_rt.errors import (
    ConfigError,
    DatasetError,
    InputNotFoundError,
    MissingDependencyError,
)
from ladle_rt.models.artifact import DEFAULT_MODEL, shipped_models
from ladle_rt.sources.synthetic_source import synthetic_pairs

SCHEMA = json.loads(
    (resources.files("ladle_rt.benchmark") / "report_schema.json").read_text(encoding="utf-8")
)
LIMITS = LatencyLimits(0.05, 10)


def request(model: Path, backend: str = "onnxruntime", **quality: Any) -> CaseRequest:
    looks = QualityRequest(2, **quality, best=(64, 96)) if quality else None
    return CaseRequest(
        str(model), backend, "cpu", (64, 96), (96, 128), LIMITS, (2,), looks, None, started_s=0
    )


def no_driver() -> Any:
    raise NoCudaDriverError("no CUDA driver (libcuda) is installed")


def test_every_case_is_measured_or_says_why_not(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = BenchmarkSettings(
        (str(tiny_model),),
        ("onnxruntime", "torch", "tensorrt"),
        ("fp32",),
        rounds=2,
        limits=LIMITS,
        streams=(2,),
        quality_frames=2,
        frame_size=(96, 128),
    )
    seen: list[BenchmarkReport] = []
    monkeypatch.setattr(benchmark_cases, "probe_cuda", no_driver)
    report = run_benchmark(settings, "ladle-rt benchmark", seen.append)
    jsonschema.validate(json.loads(json.dumps(report.to_dict())), SCHEMA)
    measured, failed, plan = report.cases
    assert (measured.status, measured.rounds, measured.size) == ("measured", 2, (64, 96))
    assert measured.figures["drift_max_abs"].value == 0
    assert measured.figures["drift_ssim"].value == pytest.approx(1, abs=1e-4)
    assert measured.figures["first_frame_s"].value > measured.figures["load_s"].value > 0
    assert measured.figures["streams_2_fps"].value > 0 and measured.figures["rss_mb"].value > 20
    assert [len(one) for one in measured.samples_ms["idle"]] == [10, 10]
    assert measured.engine is not None and measured.engine.bytes == tiny_model.stat().st_size
    assert measured.engine.sha256 == measured.model_sha256
    assert measured.figures["best_ssim"].value == pytest.approx(1, abs=1e-4)
    assert measured.sample_jpeg and report.thermal_jpeg
    assert measured.figures["drift_psnr_db"].value == MOST_DB and measured.drift_by_frame == [0, 0]
    assert measured.figures["peak_rss_mb"].value >= measured.figures["rss_mb"].value
    assert (plan.status, plan.backend, plan.device) == ("skipped", "tensorrt", "cuda")
    assert "no NVIDIA GPU to use" in plan.reason
    # The tiny network has no checkpoint that torch could run.
    assert failed.status == "failed" and ".safetensors" in failed.reason
    assert [one.complete for one in seen] == [False] * (len(seen) - 1) + [True]
    assert report.provenance["machine"]["cores"] >= 1


def test_an_interrupted_run_has_handed_out_what_it_had(tiny_model: Path) -> None:
    settings = BenchmarkSettings(
        (str(tiny_model),),
        ("onnxruntime",),
        ("fp32",),
        rounds=2,
        limits=LIMITS,
        streams=(),
        quality_frames=1,
        frame_size=(96, 128),
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
    cache = str(tmp_path)
    asked = request(paler, reference=str(paler), cache=cache)
    assert CaseRequest.from_json(asked.to_json()) == asked
    own = measure_case(asked)["quality"]
    other = measure_case(request(paler, reference=str(tiny_model), cache=cache))["quality"]
    assert max(own["drift_max_abs"]) == 0 < 0.02 < max(other["drift_max_abs"])
    assert max(other["drift_ssim"]) < min(own["drift_ssim"])
    assert len(list(tmp_path.glob("*.npy"))) == 2, "one for each fp32 model, kept for the next"
    assert "ms_ssim" not in "".join(own), "these pictures are too small for it"


def test_pictures_are_scored_against_truth(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    for number, pair in enumerate(synthetic_pairs(256, 192, 1, 2)):
        for kind, pixels in zip(("thermal", "visible"), pair, strict=True):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            image = pixels[..., ::-1] if pixels.ndim == 3 else pixels
            cv2.imwrite(str(folder / kind / f"{number}.png"), image)
    truth = find_truth(folder, 2)
    assert len(truth.pairs) == 2 and find_truth(folder, 2).digest == truth.digest
    assert find_truth(folder, 1).digest != truth.digest
    pairs = tuple(map(pair_to_dict, truth.pairs))
    found = measure_case(
        replace(
            request(tiny_model, reference=None, cache=str(tmp_path), pairs=pairs),
            frame_size=(192, 256),
            streams=(),
        )
    )["quality"]
    assert len(found["truth_ms_ssim"]) == 2 and all(0 < v < 1 for v in found["truth_ms_ssim"])
    assert all(5 < v < 40 for v in found["truth_psnr_db"])
    # A tint of the thermal image is another picture than daylight, in every figure.
    assert min(found["truth_ciede2000"]) > 5


def test_data_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DatasetError):
        find_truth(tmp_path, 4)
    with pytest.raises(InputNotFoundError):
        find_truth(tmp_path / "none", 4)


def test_settings() -> None:
    quick, full = choose_settings(True), choose_settings(False)
    assert quick.models == (DEFAULT_MODEL,) and full.models == tuple(shipped_models())
    assert quick.rounds < full.rounds and quick.limits.seconds < full.limits.seconds
    chosen = choose_settings(True, ("m.onnx",), ("openvino",), (), ((64, 96),), 7, 0.5)
    assert (chosen.models, chosen.rounds, chosen.limits.seconds) == (("m.onnx",), 7, 0.5)
    with pytest.raises(ConfigError, match=r"onnxruntime, openvino, torch.*received 'tpu'"):
        choose_settings(True, backends=("tpu",))
    with pytest.raises(ConfigError, match=r"precision must be one of fp32, .*received 'fp8'"):
        choose_settings(True, precisions=("fp8",))
    assert "torch" in full.backends and "torch" not in quick.backends
    with pytest.raises(ConfigError, match="at least 32x32, received 96x8"):
        choose_settings(True, sizes=((8, 96),))


def test_models_of_one_name_are_refused(tmp_path: Path, make_model: Callable[..., Path]) -> None:
    paths = tuple(str(make_model(tmp_path / f"{name}.onnx")) for name in "ab")
    with pytest.raises(ConfigError, match=r"differ in name or precision, received 'tiny'"):
        run_benchmark(BenchmarkSettings(paths), "ladle-rt benchmark")
