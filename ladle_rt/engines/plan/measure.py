"""Run a plan on the GPU at hand: its layers and the time of a frame. Never without a driver."""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ladle_rt.engines.plan.flavour import TensorRT
from ladle_rt.engines.plan.layers import Layer, inspect_layers
from ladle_rt.errors import BackendError

_WARM_UP = 20
_TIMED = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """A plan on this machine's GPU."""

    latency_ms: float
    """Median time of one frame of the first profile, on the device, copies left out."""
    layers: tuple[Layer, ...]
    """What the engine is made of."""


def measure_plan(plan: Path, tensorrt: TensorRT) -> Measured:
    """Time a plan on the first GPU.

    Args:
        plan: plan file, trusted.
        tensorrt: the flavour and version that built it.

    Raises:
        BackendError: no driver, not for this GPU or TensorRT, or out of device memory.
    """
    trt = tensorrt.module
    with _context() as cuda:
        logger = trt.Logger(trt.Logger.ERROR)
        runtime = trt.Runtime(logger)
        engine = runtime.deserialize_cuda_engine(plan.read_bytes())
        if engine is None:
            raise BackendError(
                f"{plan}: TensorRT {tensorrt.version} cannot load it on this GPU; build it again"
            )
        return Measured(_median_ms(trt, engine, cuda, plan), inspect_layers(tensorrt, engine))


def _median_ms(trt: Any, engine: Any, cuda: _Cuda, plan: Path) -> float:
    # Scratch memory given by hand works for every plan; some of TensorRT-RTX take no other.
    strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    context = engine.create_execution_context(strategy)
    if context is None:
        raise BackendError(f"{plan}: no execution context: out of device memory; free some")
    scratch = engine.device_memory_size_v2
    if scratch:
        context.set_device_memory(cuda.memory(scratch), scratch)
    stream = cuda.stream()
    context.set_optimization_profile_async(0, stream)
    cuda.call("cuStreamSynchronize", ctypes.c_void_p(stream))
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    for name in names:
        item = engine.get_tensor_dtype(name).itemsize
        size = trt.volume(context.get_tensor_shape(name)) * item
        context.set_tensor_address(name, cuda.memory(size))

    def enqueue() -> None:
        if not context.execute_async_v3(stream):
            raise BackendError(f"{plan}: the engine refused to run; build it again")

    for _ in range(_WARM_UP):
        enqueue()
    return statistics.median(cuda.timed(stream, enqueue) for _ in range(_TIMED))


@contextlib.contextmanager
def _context() -> Iterator[_Cuda]:
    """The primary context of the first GPU, current in this thread."""
    cuda = _Cuda()
    cuda.call("cuInit", 0)
    device, context = ctypes.c_int(), ctypes.c_void_p()
    cuda.call("cuDeviceGet", ctypes.byref(device), 0)
    cuda.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        cuda.call("cuCtxPushCurrent_v2", context)
        try:
            yield cuda
        finally:
            cuda.free()
            cuda.call("cuCtxPopCurrent_v2", ctypes.byref(context))
    finally:
        cuda.call("cuDevicePrimaryCtxRelease_v2", device)


class _Cuda:
    """The few driver calls that a timing needs; everything made is freed by `free`."""

    def __init__(self) -> None:
        try:
            self._lib = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        except OSError as error:
            raise BackendError(f"no NVIDIA driver here ({error}); use a machine with a GPU") from (
                error
            )
        self._memory: list[ctypes.c_uint64] = []
        self._streams: list[ctypes.c_void_p] = []
        self._events: list[ctypes.c_void_p] = []

    def call(self, function: str, *args: Any) -> None:
        """Call the driver and check its status."""
        status = getattr(self._lib, function)(*args)
        if status:
            text = ctypes.c_char_p()
            self._lib.cuGetErrorString(status, ctypes.byref(text))
            words = text.value.decode() if text.value else "unknown error"
            hint = "; free device memory" if status == 2 else ""
            raise BackendError(f"{function}: CUDA error {status}, {words}{hint}")

    def memory(self, size: int) -> int:
        """Address of ``size`` zeroed bytes on the device."""
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        self._memory.append(address)
        self.call("cuMemsetD8_v2", address, ctypes.c_ubyte(0), ctypes.c_size_t(size))
        return address.value

    def stream(self) -> int:
        """Handle of a new stream."""
        handle = ctypes.c_void_p()
        self.call("cuStreamCreate", ctypes.byref(handle), 1)
        self._streams.append(handle)
        assert handle.value is not None
        return handle.value

    def timed(self, stream: int, enqueue: Callable[[], object]) -> float:
        """Device time of what ``enqueue`` puts on the stream, ms."""
        while len(self._events) < 2:
            event = ctypes.c_void_p()
            self.call("cuEventCreate", ctypes.byref(event), 0)
            self._events.append(event)
        start, end = self._events
        self.call("cuEventRecord", start, ctypes.c_void_p(stream))
        enqueue()
        self.call("cuEventRecord", end, ctypes.c_void_p(stream))
        self.call("cuEventSynchronize", end)
        elapsed = ctypes.c_float()
        self.call("cuEventElapsedTime", ctypes.byref(elapsed), start, end)
        return elapsed.value

    def free(self) -> None:
        """Give everything back."""
        for event in self._events:
            self.call("cuEventDestroy_v2", event)
        for stream in self._streams:
            self.call("cuStreamDestroy_v2", stream)
        for address in self._memory:
            self.call("cuMemFree_v2", address)
