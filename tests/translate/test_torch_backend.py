"""torch on the CPU: the same picture as the graph, and weights that belong to it."""

from __future__ import annotations

import inspect
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from model_facts import bare_info

from ladle_rt.engines.export_onnx import export_onnx
from ladle_rt.errors import BackendError, ModelError
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.models.ladlenet import LadleNetConfig
from ladle_rt.models.registry import build, config_to_dict
from ladle_rt.models.weights import save_model
from ladle_rt.translate import load_network, torch_backend
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.torch_backend import TorchEngine

CONFIG = LadleNetConfig.of_width(4, levels=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    """A small network with fresh weights: graph, facts and weights beside each other."""
    torch.manual_seed(0)
    network = build("ladlenet", CONFIG).eval()
    info = bare_info("small", config=config_to_dict(CONFIG), size_multiple=CONFIG.size_multiple)
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    save_model(path.with_suffix(".safetensors"), network, info)
    exported = export_onnx(network, info, path, overwrite=True)
    return ModelArtifact(exported.onnx_path, exported.info)


def test_the_picture_is_the_graphs(model: ModelArtifact) -> None:
    thermal = np.random.default_rng(0).random((1, 1, 96, 64), dtype=np.float32)
    expected = load_network(model, "onnxruntime").runner()(thermal)
    received = load_network(model, "torch").runner()(thermal)
    assert received.shape == expected.shape and received.flags.c_contiguous
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_the_shipped_model_runs_without_its_graphs_help() -> None:
    artifact = load_artifact()
    thermal = np.linspace(0, 1, 192 * 256, dtype=np.float32).reshape(1, 1, 192, 256)
    expected = load_network(artifact, "onnxruntime").runner()(thermal)
    received = load_network(artifact, "torch").runner()(thermal)
    np.testing.assert_allclose(received, expected, atol=1e-4)


def test_without_weights_it_says_what_to_take(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"needs the weights beside the graph.*onnxruntime"):
        load_network(load_artifact(tiny_model), "torch")


def test_weights_of_another_network_are_refused(model: ModelArtifact, tmp_path: Path) -> None:
    for suffix in (".onnx", ".json", ".safetensors"):
        shutil.copy(model.onnx_path.with_suffix(suffix), tmp_path)
    other = replace(model.info, config={**model.info.config, "levels": 3})
    artifact = ModelArtifact(tmp_path / "small.onnx", other)
    with pytest.raises(ModelError, match=r"weights of another network than small\.onnx"):
        load_network(artifact, "torch")


def test_a_graph_of_lower_precision_is_refused(model: ModelArtifact) -> None:
    info = replace(model.info, derivation={"precision": "int8"})
    with pytest.raises(ModelError, match="torch runs the fp32 model that this int8 graph"):
        load_network(ModelArtifact(model.onnx_path, info), "torch")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_torch_without_a_gpu_is_one_line(model: ModelArtifact) -> None:
    with pytest.raises(BackendError, match=r"torch .* cannot use the GPU: no driver"):
        TorchEngine(model)


def test_the_gpu_engine_offers_what_the_ring_asks() -> None:
    """Its CUDA calls are proven on a GPU only, by ``benchmarks/gpu_check.py``."""
    for name in ("prepare", "enqueue", "close"):
        expected = inspect.signature(getattr(EnqueueEngine, name))
        assert inspect.signature(getattr(TorchEngine, name)) == expected
    # It records graphs of its own, whose memory torch keeps for them.
    assert not TorchEngine.capturable


class FakeTensor:
    """Device memory as far as `TorchEngine` touches it."""

    def contiguous(self, memory_format: object) -> FakeTensor:
        return self

    def copy_(self, other: object) -> None: ...


class FakeModule:
    def __init__(self) -> None:
        self.runs = 0

    def to(self, *args: object, **kwargs: object) -> FakeModule:
        return self

    def cuda(self) -> FakeModule:
        return self

    def __call__(self, frame: object) -> FakeTensor:
        self.runs += 1
        return FakeTensor()


class FakeTorch:
    """torch with a GPU, as the real one is not without a driver; graphs note what they are told."""

    __version__ = "2.14"
    float16 = channels_last = object()

    def __init__(self, broken: str = "") -> None:
        torch, self.said, self.live = self, [], 0

        class CUDAGraph:
            def __init__(self) -> None:
                torch.live += 1

            def __del__(self) -> None:
                torch.live -= 1

            def capture_begin(self, capture_error_mode: str) -> None:
                torch.said.append(f"begin {capture_error_mode}")

            def capture_end(self) -> None:
                torch.said.append("end")
                if broken:
                    raise RuntimeError(broken)

            def replay(self) -> None:
                torch.said.append("replay")

        self.cuda = SimpleNamespace(
            is_available=lambda: True,
            CUDAGraph=CUDAGraph,
            ExternalStream=lambda stream: stream,
            stream=lambda stream: nullcontext(),
            empty_cache=lambda: torch.said.append(f"empty_cache, {torch.live} graphs"),
        )
        self.inference_mode = nullcontext

    def zeros(self, *args: object, **kwargs: object) -> FakeTensor:
        return FakeTensor()

    def as_tensor(self, array: object, device: str) -> FakeTensor:
        return FakeTensor()


class FakeGpu:
    def synchronize_stream(self, stream: int) -> None: ...


def gpu_engine(monkeypatch: pytest.MonkeyPatch, fake: FakeTorch, module: FakeModule) -> TorchEngine:
    monkeypatch.setattr(torch_backend, "load_module", lambda artifact: (fake, module))
    engine = TorchEngine(None)  # type: ignore[arg-type]
    engine.prepare((64, 96), FakeGpu(), 1)  # type: ignore[arg-type]
    return engine


def test_each_slot_replays_a_graph_that_torch_keeps_the_memory_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake, module = FakeTorch(), FakeModule()
    engine = gpu_engine(monkeypatch, fake, module)
    for pointers in ((1, 2), (3, 4), (1, 2)):
        engine.enqueue(*pointers, 1)
    begin, end, replay = "begin thread_local", "end", "replay"
    # Once more behind each capture: a driver uploads a graph then.
    assert fake.said == [begin, end, replay, replay, begin, end, replay, replay, replay]
    assert fake.live == 2
    # Once to choose kernels, and each slot eagerly before its capture.
    assert module.runs == 1 + 2 * 2
    engine.prepare((96, 64), FakeGpu(), 1)  # type: ignore[arg-type]
    assert fake.live == 0
    engine.enqueue(1, 2, 1)
    engine.close()
    assert fake.said[-1] == "empty_cache, 0 graphs"


def test_a_capture_that_torch_cannot_end_goes_on_eagerly_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake, module = (
        FakeTorch("operation failed due to a previous\nerror during capture"),
        FakeModule(),
    )
    engine = gpu_engine(monkeypatch, fake, module)
    for pointers in ((1, 2), (3, 4), (1, 2)):
        engine.enqueue(*pointers, 1)
    assert "replay" not in fake.said
    (record,) = caplog.records
    assert record.getMessage() == (
        "CUDA graphs are not used: torch: operation failed due to a previous error during capture"
    )


def test_an_error_of_the_device_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(frame: object) -> FakeTensor:
        raise RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB")

    engine = gpu_engine(monkeypatch, FakeTorch(), FakeModule())
    engine._module = out_of_memory
    with pytest.raises(BackendError, match=r"torch 2.14 failed on the GPU: .* smaller --size"):
        engine.enqueue(1, 2, 1)
