"""Run a plan on the GPU at hand: its layers and the time of a frame. Never without a driver."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.cuda.select import open_gpu
from ladle_rt.cuda.tensorrt_edition import TensorRT
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
        tensorrt: the edition and version that built it.

    Raises:
        BackendError: no driver, not for this GPU or TensorRT, or out of device memory.
    """
    resources = ResourceStack()
    try:
        gpu = open_gpu()
        resources.callback(gpu.close)
        return _measure(plan, tensorrt, gpu, resources)
    finally:
        resources.close()


def _measure(plan: Path, tensorrt: TensorRT, gpu: Gpu, resources: ResourceStack) -> Measured:
    trt = tensorrt.module
    logger = trt.Logger(trt.Logger.ERROR)
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(plan.read_bytes())
    if engine is None:
        raise BackendError(
            f"{plan}: TensorRT {tensorrt.version} cannot load it on this GPU; build it again"
        )
    latency_ms = _median_ms(trt, engine, gpu, resources, plan)
    return Measured(latency_ms, inspect_layers(tensorrt, engine))


def _median_ms(trt: Any, engine: Any, gpu: Gpu, resources: ResourceStack, plan: Path) -> float:
    def memory(size: int) -> int:
        pointer = gpu.allocate(size)
        resources.callback(gpu.free, pointer)
        return pointer

    # Scratch memory given by hand works for every plan; some of TensorRT-RTX take no other.
    strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    context = engine.create_execution_context(strategy)
    if context is None:
        raise BackendError(f"{plan}: no execution context: out of device memory; free some")
    scratch = engine.device_memory_size_v2
    if scratch:
        context.set_device_memory(memory(scratch), scratch)
    stream = gpu.create_stream()
    resources.callback(gpu.destroy_stream, stream)
    start, end = gpu.create_event(timing=True), gpu.create_event(timing=True)
    for event in (start, end):
        resources.callback(gpu.destroy_event, event)
    context.set_optimization_profile_async(0, stream)
    gpu.synchronize_stream(stream)
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[2])
    for name in names:
        item = engine.get_tensor_dtype(name).itemsize
        size = trt.volume(context.get_tensor_shape(name)) * item
        context.set_tensor_address(name, memory(size))

    def enqueue() -> None:
        if not context.execute_async_v3(stream):
            raise BackendError(f"{plan}: the engine refused to run; build it again")

    def timed() -> float:
        gpu.record_event(start, stream)
        enqueue()
        gpu.record_event(end, stream)
        gpu.synchronize_event(end)
        return gpu.elapsed_ms(start, end)

    for _ in range(_WARM_UP):
        enqueue()
    return statistics.median(timed() for _ in range(_TIMED))
