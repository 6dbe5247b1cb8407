"""Run plans on the GPU at hand: their layers and the time of a frame. Never without a driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.nvml import busy_gpu
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.cuda.select import open_gpu
from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.engines.plan.header import require_writer
from ladle_rt.engines.plan.layers import Layer, inspect_layers
from ladle_rt.engines.plan.timing import GraphTimer, medians_in_turns
from ladle_rt.errors import BackendError


@dataclass(frozen=True, slots=True)
class Measured:
    """A plan on this machine's GPU."""

    latency_ms: float | None
    """Median time of one frame of the first profile, on the device, copies left out; ``None``:
    others kept the GPU busy, and a time would say nothing."""
    layers: tuple[Layer, ...]
    """What the engine is made of."""
    busy: str = ""
    """Who uses the GPU, where nothing was timed."""


def measure_plans(plans: Sequence[Path], tensorrt: TensorRT) -> list[Measured]:
    """Time plans against each other on the first GPU.

    Args:
        plans: plan files, trusted.
        tensorrt: the edition and version that built them.

    Raises:
        BackendError: no driver, not for this GPU or TensorRT, or out of device memory.
    """
    # Before this process is on the GPU itself.
    busy = busy_gpu()
    resources = ResourceStack()
    try:
        gpu = open_gpu()
        resources.callback(gpu.close)
        engines = [_load(plan, tensorrt) for plan in plans]
        layers = [inspect_layers(tensorrt, engine) for engine in engines]
        if busy:
            return [Measured(None, found, busy) for found in layers]
        timers = [
            _timer(tensorrt.module, engine, gpu, resources, plan)
            for engine, plan in zip(engines, plans, strict=True)
        ]
        times = medians_in_turns(timers)
        return [Measured(ms, found) for ms, found in zip(times, layers, strict=True)]
    finally:
        resources.close()


def _load(plan: Path, tensorrt: TensorRT) -> Any:
    trt = tensorrt.module
    content = plan.read_bytes()
    require_writer(content, tensorrt.edition, tensorrt.version, str(plan))
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise BackendError(
            f"{plan}: TensorRT {tensorrt.version} cannot load it on this GPU; build it again"
        )
    return engine


def _timer(trt: Any, engine: Any, gpu: Gpu, resources: ResourceStack, plan: Path) -> GraphTimer:
    """An engine with memory for the best size of its first profile."""

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

    def enqueue(on: int) -> None:
        if not context.execute_async_v3(on):
            raise BackendError(f"{plan}: the engine refused to run; build it again")

    return GraphTimer(gpu, resources, enqueue)
