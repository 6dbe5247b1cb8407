"""Which engine is taken, what is said about it, and what a model must say of itself."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from ladle_rt.config import Backend, TranslateOptions
from ladle_rt.cuda import driver
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError, NoCudaDriverError
from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.device import usable_cores
from ladle_rt.errors import BackendError, ConfigError, MissingDependencyError, ModelError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import METADATA_KEY, ModelInfo, file_sha256, load_artifact
from ladle_rt.translate import PictureSpec, create_translator, load_network, plans, select
from ladle_rt.translate.select import FOR_ARRAYS, TranslatorFactory

RGB = PictureSpec("rgb24", False)
ADA = CudaDevice(name="Ada", compute_capability=(8, 9), driver_version="13.1")
TENSORRT = TensorRT("tensorrt", "11.4.0.106", SimpleNamespace())


def no_driver() -> Any:
    raise NoCudaDriverError("no CUDA driver (libcuda) is installed")


def broken_driver() -> Any:
    raise CudaUnavailableError("the CUDA driver answered CUDA_ERROR_NO_DEVICE (100) to cuInit")


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "probe_cuda", no_driver)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "probe_cuda", lambda: (ADA,))


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        (no_driver, "no GPU"),
        (broken_driver, "the CUDA driver answered CUDA_ERROR_NO_DEVICE (100) to cuInit"),
        (lambda: (), "the driver shows none"),
    ],
)
def test_auto_without_a_gpu_is_onnxruntime_and_says_why(
    tiny_model: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    probe: Callable[[], Any],
    reason: str,
) -> None:
    """Where there is no driver at all, CUDA is no word that the user needs to know."""
    monkeypatch.setattr(select, "probe_cuda", probe)
    with (
        caplog.at_level(logging.INFO, "ladle_rt.engine"),
        create_translator(load_artifact(tiny_model), TranslateOptions(threads=1), RGB) as made,
    ):
        assert made.name == "onnxruntime (1 workers)"
    assert [record.message for record in caplog.records] == [f"onnxruntime (1 workers): {reason}"]


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("backend", ["tensorrt", "torch-tensorrt"])
def test_a_gpu_engine_by_name_is_refused_without_a_gpu(backend: Backend, tiny_model: Path) -> None:
    options = TranslateOptions(backend=backend)
    with pytest.raises(BackendError, match=r"needs an NVIDIA GPU: no CUDA driver .*translate on"):
        create_translator(load_artifact(tiny_model), options, RGB)


@pytest.mark.usefixtures("without_gpu")
def test_torch_by_name_runs_on_the_cpu() -> None:
    options = TranslateOptions(backend="torch", threads=1)
    with create_translator(load_artifact(), options, RGB) as made:
        assert made.name == "torch (1 workers)"


@pytest.mark.usefixtures("with_gpu")
def test_a_gpu_without_its_bindings_falls_back_and_names_the_extra(
    tiny_model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_found(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(driver.metadata, "version", not_found)
    monkeypatch.setattr(select.importlib.util, "find_spec", lambda name: None)
    artifact = load_artifact(tiny_model)
    with (
        caplog.at_level(logging.INFO, "ladle_rt.engine"),
        create_translator(artifact, TranslateOptions(threads=1), RGB) as made,
    ):
        assert made.name.startswith("onnxruntime")
    assert "pip install 'ladle-rt[cuda13]'" in caplog.records[-1].message
    with pytest.raises(MissingDependencyError, match=r"pip install 'ladle-rt\[cuda13\]'"):
        create_translator(artifact, TranslateOptions(backend="tensorrt"), RGB)


class TestWithAGpu:
    """TensorRT and a GPU as far as a machine without them can pretend to have them."""

    @pytest.fixture(autouse=True)
    def machine(self, with_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(select, "require_binding", lambda binding: None)
        monkeypatch.setattr(select, "find_tensorrt", lambda: TENSORRT)
        # torch is refused too: it sees no GPU.
        monkeypatch.setattr(plans, "obtain_plan", self.fail)
        self.asked: list[tuple[Any, ...]] = []

    def fail(self, folder: Path, artifact: Any, device: Any, tensorrt: Any, shapes: Any,
             notify: Any, leave: threading.Event | None, batch: int) -> Any:  # fmt: skip
        self.asked.append(shapes)
        raise BackendError("TensorRT could not build the plan: out of memory")

    @pytest.mark.parametrize("warm_start", [True, False])
    def test_tensorrt_by_name_never_becomes_the_cpu(
        self, tiny_model: Path, warm_start: bool
    ) -> None:
        options = TranslateOptions(backend="tensorrt", warm_start=warm_start, threads=1)
        with pytest.raises(BackendError, match="could not build the plan: out of memory"):
            create_translator(load_artifact(tiny_model), options, RGB)

    @pytest.mark.parametrize("warm_start", [True, False])
    def test_a_failed_build_falls_back_in_words(
        self, tiny_model: Path, warm_start: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = TranslateOptions(warm_start=warm_start, threads=1)
        frame = Frame(np.zeros((48, 64), np.uint8), 0, timestamp_ns=0)
        with (
            caplog.at_level(logging.INFO, "ladle_rt.engine"),
            create_translator(load_artifact(tiny_model), options, RGB) as made,
        ):
            if warm_start:
                assert made.engine.ready.wait(30)  # type: ignore[attr-defined]
            made.submit(frame)
            assert made.collect(30).frame is frame
            assert made.name == "onnxruntime (1 workers)"
        told = " ".join(record.message for record in caplog.records)
        assert "could not build the plan: out of memory" in told
        assert "onnxruntime (1 workers)" in told

    def test_the_choice_knows_every_size_before_it_is_made(self, tiny_model: Path) -> None:
        artifact = load_artifact(tiny_model)

        def asked(frame: tuple[int, int], climbs: bool = False, **options: Any) -> Any:
            self.asked.clear()
            settings = TranslateOptions(backend="tensorrt", **options)
            factory = TranslatorFactory(artifact, settings, "fast", FOR_ARRAYS, climbs)
            with pytest.raises(BackendError):
                factory(frame)
            (shapes,) = self.asked
            return shapes

        assert asked((48, 64)) == ((64, 96),)
        assert asked((64, 48)) == ((96, 64),)
        assert asked((720, 1280), size=(192, 256)) == ((160, 256),)
        assert asked((512, 512), size=(192, 256)) == ((192, 192),)
        assert asked((512, 640), quality="best") == ((512, 640),)
        assert asked((512, 640), climbs=True, size=(192, 256)) == (
            *((192, 256), (160, 224), (128, 160), (96, 128)),
        )

    def test_without_a_frame_the_box_is_what_is_asked_for(self, tiny_model: Path) -> None:
        for options, shape in (({}, (64, 96)), ({"size": (384, 500)}, (384, 512))):
            settings = TranslateOptions(backend="tensorrt", **options)  # type: ignore[arg-type]
            with pytest.raises(BackendError):
                create_translator(load_artifact(tiny_model), settings, RGB)
            assert self.asked.pop() == (shape,)


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("backend", ["auto", "torch", "tensorrt"])
def test_a_gpu_that_is_not_there_is_refused(
    tiny_model: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "select_gpu", lambda wanted: None)
    options = TranslateOptions(backend=backend, gpu="3")
    with pytest.raises(BackendError, match=r"^gpu 3: no CUDA driver .*nvidia-smi -L"):
        create_translator(load_artifact(tiny_model), options, RGB)


@pytest.mark.parametrize("backend", ["tensorrt", "torch-tensorrt"])
def test_engines_of_the_gpu_have_no_cpu_form(backend: Backend, tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match=f"^{backend} runs on a GPU only; choose onnxruntime"):
        load_network(load_artifact(tiny_model), backend)


def test_a_missing_engine_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ladle-rt\[openvino\]'"):
        load_network(load_artifact(tiny_model), "openvino")


def test_one_worker_per_usable_core_unless_told(tiny_model: Path) -> None:
    for threads, expected in ((None, usable_cores()), (3, 3)):
        options = TranslateOptions(backend="onnxruntime", threads=threads)
        with create_translator(load_artifact(tiny_model), options, RGB) as translator:
            assert translator.name == f"onnxruntime ({expected} workers)"
            assert translator.depth == 2 * expected


def rewritten(path: Path, facts: str | None) -> Path:
    """The same graph with other text, or none, where its own facts are."""
    graph = onnx.load(str(path))
    del graph.metadata_props[:]
    if facts is not None:
        graph.metadata_props.add(key=METADATA_KEY, value=facts)
    onnx.save(graph, str(path))
    beside = path.with_suffix(".json")
    info = ModelInfo.from_json(beside.read_text(encoding="utf-8"), "test")
    beside.write_text(replace(info, onnx_sha256=file_sha256(path)).to_json(), encoding="utf-8")
    return path


@pytest.mark.parametrize("facts", ["not json", "{}", "[1]"])
def test_foreign_facts_are_one_line(
    tmp_path: Path, make_model: Callable[..., Path], facts: str
) -> None:
    artifact = load_artifact(rewritten(make_model(tmp_path / "m.onnx"), facts))
    with pytest.raises(ModelError, match="own facts differ") as caught:
        load_network(artifact, "onnxruntime")
    assert "\n" not in str(caught.value)


def test_a_graph_without_facts_goes_by_its_json(
    tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    artifact = load_artifact(rewritten(make_model(tmp_path / "m.onnx"), None))
    assert load_network(artifact, "onnxruntime").name == "onnxruntime"
