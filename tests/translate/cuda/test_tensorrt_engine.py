"""A plan on a stream: what is called in which order, and every way it can refuse.

TensorRT itself loads no plan without a GPU; its names are held by ``benchmarks/api_names.py``.
"""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ladle_rt.cuda import probe
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError
from ladle_rt.errors import BackendError, ConfigError, MissingDependencyError
from ladle_rt.translate.cuda.tensorrt_engine import TensorRtEngine

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeGpu

PLAN = b"ftrt" + bytes(20) + bytes((11, 4, 0, 106)) + b"plan"
PROFILES = [((32, 32), (64, 96), (96, 128)), ((192, 256), (192, 256), (192, 256))]


class DataType(enum.Enum):
    FLOAT = enum.auto()
    HALF = enum.auto()
    INT8 = enum.auto()


class Context:
    def __init__(self, trt: FakeTensorRT) -> None:
        self._trt = trt
        self.shape: tuple[int, ...] = ()

    def _call(self, name: str, *args: Any) -> bool:
        self._trt.calls.append((name, *args))
        if self._trt.refused == name:
            self._trt.log.log(self._trt.module.ILogger.ERROR, f"{name}\n  said no")
            return False
        return True

    def set_device_memory(self, memory: int, size: int) -> None:
        self._call("set_device_memory", memory, size)

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        return self._call("set_optimization_profile_async", index, stream)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return self._call("set_input_shape", name, shape)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert name == "rgb"
        return (self.shape[0], self._trt.channels, *self.shape[2:])

    def set_tensor_address(self, name: str, pointer: int) -> bool:
        return self._call("set_tensor_address", name, pointer)

    def execute_async_v3(self, stream: int) -> bool:
        return self._call("execute_async_v3", stream)


class Engine:
    def __init__(self, trt: FakeTensorRT) -> None:
        self._trt = trt
        self.num_io_tensors = len(trt.tensors)
        self.num_optimization_profiles = len(PROFILES)
        self.device_memory_size_v2 = trt.scratch

    def get_tensor_name(self, index: int) -> str:
        return list(self._trt.tensors)[index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return self._trt.tensors[name]

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
        assert name == "thermal"
        low, best, high = PROFILES[index]
        most = self._trt.most_frames
        return [(1, 1, *low), (most, 1, *best), (most, 1, *high)]

    def create_execution_context(self, strategy: Any) -> Context | None:
        self._trt.calls.append(("create_execution_context", strategy))
        if self._trt.refused == "create_execution_context":
            self._trt.log.log(self._trt.module.ILogger.ERROR, "out of memory")
            return None
        return Context(self._trt)


class FakeTensorRT:
    """What its calls were, and what it is to refuse."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.refused = ""
        self.deserialised = 0
        self.channels = 3
        self.most_frames = 1
        self.scratch = 1024
        self.tensors = {"thermal": DataType.FLOAT, "rgb": DataType.FLOAT}
        self.log: Any = None
        self.module: Any = ModuleType("tensorrt")
        trt = self

        class Severity(enum.Enum):
            INTERNAL_ERROR = 0
            ERROR = 1
            WARNING = 2

        class ILogger:
            INTERNAL_ERROR, ERROR = Severity.INTERNAL_ERROR, Severity.ERROR

        class Strategy(enum.Enum):
            USER_MANAGED = 2

        class Runtime:
            def __init__(self, log: Any) -> None:
                trt.log = log

            def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
                trt.deserialised += 1
                if plan != PLAN:
                    trt.log.log(Severity.WARNING, "only a warning")
                    trt.log.log(Severity.ERROR, "magic tag\ndoes not match")
                    return None
                return Engine(trt)

        for name, value in {
            "__version__": "11.4.0",
            "ILogger": ILogger,
            "Runtime": Runtime,
            "DataType": DataType,
            "ExecutionContextAllocationStrategy": Strategy,
        }.items():
            setattr(self.module, name, value)


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> FakeTensorRT:
    fake = FakeTensorRT()
    monkeypatch.setitem(sys.modules, "tensorrt", fake.module)
    monkeypatch.setattr(probe, "probe_cuda", lambda: (CudaDevice("One", (8, 6), "13.0"),))
    return fake


def test_a_frames_calls(trt: FakeTensorRT) -> None:
    gpu = FakeGpu().open()
    stream = gpu.create_stream()
    engine = TensorRtEngine(PLAN, "tensorrt")
    assert engine.name == "tensorrt 11.4.0 (float32)" and engine.network_dtype == "float32"
    engine.prepare((64, 96), gpu, stream)
    (scratch,) = gpu.live["device"]
    assert engine.capturable
    for _ in range(2):
        engine.enqueue(4096, 8192, stream)
    assert trt.calls[1:] == [
        ("set_device_memory", scratch, 1024),
        ("set_optimization_profile_async", 0, stream),
        ("set_input_shape", "thermal", (1, 1, 64, 96)),
        # Once for two frames: the addresses stay.
        ("set_tensor_address", "thermal", 4096),
        ("set_tensor_address", "rgb", 8192),
        ("execute_async_v3", stream),
        ("execute_async_v3", stream),
    ]
    engine.close()
    engine.close()
    assert not gpu.live["device"]


def test_another_size_uses_its_profile_and_the_same_memory(trt: FakeTensorRT) -> None:
    gpu = FakeGpu().open()
    stream = gpu.create_stream()
    engine = TensorRtEngine(PLAN, "tensorrt")
    for shape in ((64, 96), (192, 256), (96, 128)):
        engine.prepare(shape, gpu, stream)
    used = [call[1] for call in trt.calls if call[0] == "set_optimization_profile_async"]
    assert used == [0, 1, 0] and gpu.calls.count("allocate") == 1


def test_several_frames_in_one_run(trt: FakeTensorRT) -> None:
    trt.most_frames = 4
    gpu = FakeGpu().open()
    stream = gpu.create_stream()
    engine = TensorRtEngine(PLAN, "tensorrt")
    for frames in (4, 1):
        engine.prepare((64, 96), gpu, stream, frames)
    shapes = [call[2] for call in trt.calls if call[0] == "set_input_shape"]
    assert shapes == [(4, 1, 64, 96), (1, 1, 64, 96)]
    assert engine.supports((64, 96), 4) and not engine.supports((64, 96), 5)
    with pytest.raises(ConfigError, match=r"up to 4 frames in one run, received 5.*--batch 5"):
        engine.prepare((64, 96), gpu, stream, 5)


@pytest.mark.parametrize("shape", [(16, 96), (64, 160), (192, 224)])
def test_sizes_outside_the_profiles(trt: FakeTensorRT, shape: tuple[int, int]) -> None:
    gpu = FakeGpu().open()
    engine = TensorRtEngine(PLAN, "tensorrt")
    with pytest.raises(ConfigError) as caught:
        engine.prepare(shape, gpu, gpu.create_stream())
    assert str(caught.value) == (
        "this plan takes 32x32 to 128x96, 256x192 at the network, received "
        f"{shape[1]}x{shape[0]}; use another --size, or build one: "
        f"ladle-rt build-engine --size {shape[1]}x{shape[0]}"
    )


@pytest.mark.parametrize(
    "call",
    [
        "set_optimization_profile_async",
        "set_input_shape",
        "set_tensor_address",
        "execute_async_v3",
    ],
)
def test_what_is_refused_while_running(trt: FakeTensorRT, call: str) -> None:
    gpu = FakeGpu().open()
    stream = gpu.create_stream()
    engine = TensorRtEngine(PLAN, "tensorrt")
    trt.refused = call

    def run() -> None:
        engine.prepare((64, 96), gpu, stream)
        engine.enqueue(4096, 8192, stream)

    with pytest.raises(BackendError, match=f"tensorrt 11.4.0: {call} .*: {call} said no"):
        run()
    engine.close()
    assert not gpu.live["device"]


def test_plans_that_are_refused(trt: FakeTensorRT) -> None:
    with pytest.raises(BackendError, match="magic tag does not match; build it again"):
        TensorRtEngine(PLAN + b"cut", "tensorrt")
    trt.refused = "create_execution_context"
    with pytest.raises(BackendError, match="out of memory; use a smaller --size"):
        TensorRtEngine(PLAN, "tensorrt")


@pytest.mark.parametrize(
    ("plan", "received"),
    [
        (b"vtrt" + bytes(20) + bytes((1, 7, 1, 116)), "tensorrt-rtx 1.7.1.116, which alone can"),
        (b"ftrt" + bytes(20) + bytes((10, 3, 0, 26)), "tensorrt 10.3.0.26, which alone can load"),
        (b"ONNX" + bytes(40), "received a file that starts with 4f4e4e58"),
        (b"ftrt", "received 4 bytes"),
    ],
)
def test_plans_of_others_are_refused_in_words_before_tensorrt_sees_them(
    trt: FakeTensorRT, plan: bytes, received: str
) -> None:
    with pytest.raises(BackendError) as caught:
        TensorRtEngine(plan, "tensorrt")
    line = str(caught.value)
    assert received in line and "build" in line and "\n" not in line
    assert not trt.deserialised


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"image": DataType.FLOAT, "rgb": DataType.FLOAT}, "received image, rgb"),
        ({"thermal": DataType.FLOAT, "rgb": DataType.HALF}, "DataType.FLOAT and DataType.HALF"),
        ({"thermal": DataType.INT8, "rgb": DataType.INT8}, "DataType.INT8"),
    ],
)
def test_foreign_plans(trt: FakeTensorRT, tensors: dict[str, DataType], message: str) -> None:
    trt.tensors = tensors
    with pytest.raises(BackendError, match=message):
        TensorRtEngine(PLAN, "tensorrt")


def test_half_precision_and_no_scratch(trt: FakeTensorRT) -> None:
    trt.tensors = dict.fromkeys(trt.tensors, DataType.HALF)
    trt.scratch = 0
    gpu = FakeGpu().open()
    engine = TensorRtEngine(PLAN, "tensorrt")
    engine.prepare((64, 96), gpu, gpu.create_stream())
    assert engine.network_dtype == "float16" and not gpu.live["device"]
    engine.close()


def test_an_output_of_another_shape(trt: FakeTensorRT) -> None:
    trt.channels = 1
    gpu = FakeGpu().open()
    engine = TensorRtEngine(PLAN, "tensorrt")
    with pytest.raises(BackendError, match=r"\(1, 3, 64, 96\), received \(1, 1, 64, 96\)"):
        engine.prepare((64, 96), gpu, gpu.create_stream())


def test_a_context_that_knows_better_whether_it_can_be_captured(
    trt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Context, "is_stream_capturable", lambda self, stream: stream == 99, raising=False
    )
    gpu = FakeGpu().open()
    engine = TensorRtEngine(PLAN, "tensorrt")
    engine.prepare((64, 96), gpu, gpu.create_stream())
    assert not engine.capturable


def test_a_runtime_config_makes_kernels_eagerly(
    trt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Config:
        def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
            self.strategy = strategy

    class Kernels(enum.Enum):
        EAGER = 1

    monkeypatch.setattr(Engine, "create_runtime_config", lambda self: Config(), raising=False)
    trt.module.IRuntimeConfig = Config
    trt.module.DynamicShapesKernelSpecializationStrategy = Kernels
    TensorRtEngine(PLAN, "tensorrt")
    ((_, config),) = trt.calls
    assert config.strategy.name == "USER_MANAGED"
    assert config.dynamic_shapes_kernel_specialization_strategy is Kernels.EAGER


def test_what_was_compiled_at_the_first_run_is_kept(
    trt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded = []

    class Cache:
        def deserialize(self, blob: bytes) -> bool:
            loaded.append(blob)
            return True

        def serialize(self) -> bytes:
            return b"compiled kernels"

    class Config:
        def set_execution_context_allocation_strategy(self, strategy: Any) -> None: ...
        def create_runtime_cache(self) -> Cache:
            return Cache()

        def set_runtime_cache(self, cache: Cache) -> bool:
            trt.calls.append(("set_runtime_cache", cache))
            return True

    class Kernels(enum.Enum):
        EAGER = 1

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(Engine, "create_runtime_config", lambda self: Config(), raising=False)
    trt.module.IRuntimeConfig = Config
    trt.module.DynamicShapesKernelSpecializationStrategy = Kernels
    for _ in range(2):
        gpu = FakeGpu().open()
        engine = TensorRtEngine(PLAN, "tensorrt")
        engine.prepare((64, 96), gpu, gpu.create_stream())
        engine.close()
        engine.close()
    assert loaded == [b"compiled kernels"]
    (kept,) = (tmp_path / "ladle-rt" / "kernels").iterdir()
    assert kept.read_bytes() == b"compiled kernels"
    # Set before the context is made.
    assert [call[0] for call in trt.calls][:2] == ["set_runtime_cache", "create_execution_context"]


def test_without_a_gpu_tensorrt_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> Any:
        raise CudaUnavailableError("no CUDA driver (libcuda) is installed")

    monkeypatch.setattr(probe, "probe_cuda", nothing)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match="no GPU"):
        TensorRtEngine(PLAN, "tensorrt")
    monkeypatch.setattr(probe, "probe_cuda", lambda: (CudaDevice("One", (8, 6), "13.0"),))
    with pytest.raises(MissingDependencyError, match=r"ladle-rt\[tensorrt\]"):
        TensorRtEngine(PLAN, "tensorrt")
