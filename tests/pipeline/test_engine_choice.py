"""Which engine is taken, what is said about it, and which plan."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ladle_rt.config import Backend, TranslateOptions
from ladle_rt.cuda import driver
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError, gpu_facts
from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.engines.plan.cache import store
from ladle_rt.engines.plan.manifest import PlanManifest
from ladle_rt.errors import BackendError, MissingDependencyError
from ladle_rt.models.artifact import load_artifact
from ladle_rt.pipeline import engine_choice
from ladle_rt.pipeline.engine_choice import PictureSpec, fitting_plan, make_translator

RGB = PictureSpec("rgb24", False)
ADA = CudaDevice(name="Ada", compute_capability=(8, 9), driver_version="13.1")
TENSORRT = TensorRT("tensorrt", "11.4.0.106", SimpleNamespace())


def no_driver() -> Any:
    raise CudaUnavailableError("no CUDA driver (libcuda) is installed")


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "probe_cuda", no_driver)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "probe_cuda", lambda: (ADA,))


@pytest.mark.usefixtures("without_gpu")
def test_auto_without_a_gpu_is_onnxruntime_and_says_why(
    tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "ladle_rt.engine"),
        make_translator(load_artifact(tiny_model), TranslateOptions(threads=1), RGB) as made,
    ):
        assert made.name == "onnxruntime (1 workers)"
    assert [record.message for record in caplog.records] == [
        "onnxruntime (1 workers): no CUDA driver (libcuda) is installed"
    ]


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("backend", ["tensorrt", "torch-tensorrt"])
def test_a_gpu_engine_by_name_is_refused_without_a_gpu(backend: Backend, tiny_model: Path) -> None:
    options = TranslateOptions(backend=backend)
    with pytest.raises(BackendError, match=r"needs an NVIDIA GPU: no CUDA driver .*translate on"):
        make_translator(load_artifact(tiny_model), options, RGB)


@pytest.mark.usefixtures("without_gpu")
def test_torch_by_name_runs_on_the_cpu() -> None:
    options = TranslateOptions(backend="torch", threads=1)
    with make_translator(load_artifact(), options, RGB) as made:
        assert made.name == "torch (1 workers)"


@pytest.mark.usefixtures("with_gpu")
def test_a_gpu_without_its_bindings_falls_back_and_names_the_extra(
    tiny_model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_found(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(driver.metadata, "version", not_found)
    monkeypatch.setattr(engine_choice.importlib.util, "find_spec", lambda name: None)
    artifact = load_artifact(tiny_model)
    with (
        caplog.at_level(logging.INFO, "ladle_rt.engine"),
        make_translator(artifact, TranslateOptions(threads=1), RGB) as made,
    ):
        assert made.name.startswith("onnxruntime")
    assert "pip install 'ladle-rt[cuda13]'" in caplog.records[-1].message
    with pytest.raises(MissingDependencyError, match=r"pip install 'ladle-rt\[cuda13\]'"):
        make_translator(artifact, TranslateOptions(backend="tensorrt"), RGB)


def profile(*size: int) -> list[list[int]]:
    return [[1, 1, *size]] * 3


class TestPlans:
    """Real plan files and manifests, as the builder stores them."""

    @pytest.fixture
    def put(self, tmp_path: Path, tiny_model: Path) -> Any:
        artifact = load_artifact(tiny_model)
        base = PlanManifest(
            model=artifact.info.facts(),
            onnx_sha256=artifact.info.onnx_sha256,
            precision="fp32",
            flavour="tensorrt",
            version=TENSORRT.version,
            profiles=[profile(64, 96)],
            flags={},
            device=gpu_facts(ADA),
            calibration_sha256=None,
        )

        def put(name: str, **values: Any) -> Path:
            manifest = replace(base, **values)
            version = bytes(int(part) for part in manifest.version.split("."))
            plan = b"ftrt" + bytes(20) + version + name.encode()
            path = tmp_path / f"{name}.plan"
            store(path, plan, manifest.finished(plan, latency_ms=manifest.latency_ms))
            return path

        return put

    def chosen(
        self,
        folder: Path,
        model: Path,
        device: CudaDevice = ADA,
        shapes: tuple[tuple[int, int], ...] = ((64, 96),),
    ) -> str | None:
        entry = fitting_plan(folder, load_artifact(model), device, TENSORRT, shapes)
        return entry.path.stem if entry else None

    def test_none_fits(self, tmp_path: Path, tiny_model: Path, put: Any) -> None:
        assert self.chosen(tmp_path / "none", tiny_model) is None
        put("other-model", onnx_sha256="0" * 64)
        put("other-version", version="11.3.0.106")
        put("other-gpu", device=gpu_facts(replace(ADA, name="Lovelace")))
        put("other-target", device={"targets": ["sm86"]})
        damaged = put("damaged")
        damaged.write_bytes(damaged.read_bytes() + b"x")
        assert self.chosen(tmp_path, tiny_model) is None

    def test_the_lowest_precision_unless_it_was_measured_slower(
        self, tmp_path: Path, tiny_model: Path, put: Any
    ) -> None:
        made_from = {
            "derivation": {"from_sha256": load_artifact(tiny_model).info.onnx_sha256},
        }
        put("fp32")
        assert self.chosen(tmp_path, tiny_model) == "fp32"
        put("fp16", precision="fp16", onnx_sha256="1" * 64, model=made_from)
        put("int8", precision="int8", onnx_sha256="2" * 64, model=made_from)
        assert self.chosen(tmp_path, tiny_model) == "int8"
        put("slow", precision="int8", onnx_sha256="3" * 64, model=made_from, latency_ms=3.0)
        put("fast", precision="fp16", onnx_sha256="4" * 64, model=made_from, latency_ms=2.0)
        assert self.chosen(tmp_path, tiny_model) == "fast"

    def test_a_plan_must_take_every_size_and_the_one_made_for_the_first_is_best(
        self, tmp_path: Path, tiny_model: Path, put: Any
    ) -> None:
        put("small")
        assert self.chosen(tmp_path, tiny_model, shapes=((96, 96),)) is None
        span = [[1, 1, 32, 32], [1, 1, 96, 128], [1, 1, 160, 160]]
        put("any", precision="fp16", onnx_sha256="1" * 64, profiles=[span], model={
            "derivation": {"from_sha256": load_artifact(tiny_model).info.onnx_sha256}
        })  # fmt: skip
        assert self.chosen(tmp_path, tiny_model, shapes=((96, 96),)) == "any"
        assert self.chosen(tmp_path, tiny_model, shapes=((64, 96),)) == "small"
        assert self.chosen(tmp_path, tiny_model, shapes=((64, 96), (160, 160))) == "any"
        assert self.chosen(tmp_path, tiny_model, shapes=((64, 96), (192, 160))) is None

    def test_targets_fit_by_architecture(self, tmp_path: Path, tiny_model: Path, put: Any) -> None:
        put("ahead", device={"targets": ["sm86", "sm89"]})
        assert self.chosen(tmp_path, tiny_model) == "ahead"
        assert self.chosen(tmp_path, tiny_model, replace(ADA, compute_capability=(12, 0))) is None
