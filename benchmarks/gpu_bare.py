"""What a GPU does without the ring: the network alone, each kernel alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from gpu_measure import FailedError, noise_frames
from gpu_translators import PICTURE, Setup

from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.launch import Launch
from ladle_rt.cuda.probe import probe_cuda
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.cuda.tensorrt_edition import find_tensorrt
from ladle_rt.engines.plan.timing import WARM_UP_S, GraphTimer, medians_in_turns
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.frame_memory import ALIGNMENT, Buffers
from ladle_rt.translate.plans import fitting_plan

IN_A_ROW = 20
"""Launches of a kernel that are timed as one: a single one is shorter than its launch."""


@contextlib.contextmanager
def opened(setup: Setup) -> Iterator[tuple[Gpu, ResourceStack]]:
    """A GPU, and what gives back whatever is made on it."""
    resources = ResourceStack()
    try:
        gpu = setup.open_gpu("bindings")
        resources.callback(gpu.close)
        yield gpu, resources
    finally:
        resources.close()


def memory(gpu: Gpu, resources: ResourceStack, size: int) -> int:
    """Device memory for as long as `opened` lasts."""
    pointer = gpu.allocate(size)
    resources.callback(gpu.free, pointer)
    return pointer


def stream_of(gpu: Gpu, resources: ResourceStack) -> int:
    """A stream for as long as `opened` lasts."""
    stream = gpu.create_stream()
    resources.callback(gpu.destroy_stream, stream)
    return stream


def tensorrt_fps(setup: Setup) -> float:
    """Frames a second of the plan alone, by what the run before left in the folder."""
    from ladle_rt.translate.cuda.tensorrt_engine import TensorRtEngine

    tensorrt, shape = find_tensorrt(), setup.fit.padded
    folder, device = setup.options.engines, probe_cuda()[0]
    entry = fitting_plan(folder, setup.artifact, device, tensorrt, [shape])
    if entry is None:
        raise FailedError(f"no plan for {shape[1]}x{shape[0]} where the run before left one")
    plan = entry.path.read_bytes()
    return engine_fps(setup, lambda: TensorRtEngine(plan, tensorrt.edition))


def engine_fps(setup: Setup, make: Callable[[], EnqueueEngine]) -> float:
    """Frames a second of an engine alone on one stream, as a CUDA graph where it can be one."""
    height, width = setup.fit.padded
    with opened(setup) as (gpu, resources):
        engine = make()
        resources.callback(engine.close)
        plane = np.dtype(engine.network_dtype).itemsize * height * width
        ends = [memory(gpu, resources, planes * plane) for planes in (1, 3)]
        stream = stream_of(gpu, resources)
        engine.prepare((height, width), gpu, stream)
        engine.enqueue(*ends, stream)
        gpu.synchronize_stream(stream)

        def wait() -> None:
            gpu.synchronize_stream(stream)

        if not engine.capturable:
            return rate(lambda: engine.enqueue(*ends, stream), wait, setup.frames)
        gpu.begin_capture(stream)
        engine.enqueue(*ends, stream)
        graph = gpu.end_capture(stream)
        resources.callback(gpu.destroy_graph, graph)
        return rate(lambda: gpu.launch_graph(graph, stream), wait, setup.frames)


def torch_fps(setup: Setup) -> float:
    """Frames a second of the network alone, replayed as a CUDA graph on one stream."""
    import torch

    from ladle_rt.translate.torch_backend import load_module

    _, module = load_module(setup.artifact)
    module = module.half().cuda().to(memory_format=torch.channels_last)
    frame = torch.rand((1, 1, *setup.fit.padded), dtype=torch.float16, device="cuda")
    with torch.inference_mode():
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                module(frame)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            module(frame)
        return rate(graph.replay, torch.cuda.synchronize, setup.frames)


def rate(replay: Callable[[], object], wait: Callable[[], object], frames: int) -> float:
    """Replays a second, one right after another, once the clocks are up."""
    start = time.perf_counter()
    while time.perf_counter() - start < WARM_UP_S:
        replay()
        wait()
    start = time.perf_counter()
    for _ in range(frames):
        replay()
    wait()
    return float(f"{frames / (time.perf_counter() - start):.4g}")


def kernel_bandwidth(setup: Setup) -> dict[str, Any]:
    """Time of the launches before and after the network, against what their bytes need.

    Each kernel is timed by itself, as a graph of `IN_A_ROW` launches: between events around one
    launch a GPU mostly waits for the host.
    """
    with opened(setup) as (gpu, resources):
        gpu.load_kernels(setup.image(gpu.capability))
        size = setup.copy_bytes
        copies = [memory(gpu, resources, size) for _ in range(2)]
        copy = GraphTimer(gpu, resources, lambda stream: gpu.copy_on_device(*copies, size, stream))
        (copy_ms,) = medians_in_turns([copy], warm_up_s=WARM_UP_S, rounds=setup.repeats)
        copied = float(f"{2 * size / copy_ms / 1e6:.4g}")
        figures: dict[str, Any] = {"copy_gb_per_s": copied}
        for name, detail, steady in (
            ("plain", False, 0.0),
            ("steady", False, 1.0),
            ("detail", True, 0.0),
        ):
            kernels, buffers = frame_buffers(setup, gpu, resources, detail, steady)
            launches = kernels.before(buffers) + kernels.after(buffers)
            moved = kernels.bytes_moved()
            timers = [GraphTimer(gpu, resources, in_a_row(gpu, launch)) for launch in launches]
            times = medians_in_turns(timers, warm_up_s=WARM_UP_S, rounds=setup.repeats)
            least = [*moved.before.values(), *moved.after.values()]
            for launch, row_ms, moves in zip(launches, times, least, strict=True):
                ms = row_ms / IN_A_ROW
                figures[f"{name} {launch.kernel}"] = {
                    "ms": float(f"{ms:.4g}"),
                    "of_copy": float(f"{moves / ms / 1e6 / copied:.3g}"),
                }
            figures[f"{name} launches"] = len(launches)
            figures[f"{name} ms"] = float(f"{sum(times) / IN_A_ROW:.4g}")
        return figures


def in_a_row(gpu: Gpu, launch: Launch) -> Callable[[int], None]:
    """Enqueues a kernel `IN_A_ROW` times on a stream."""

    def enqueue(stream: int) -> None:
        for _ in range(IN_A_ROW):
            gpu.launch(launch, stream)

    return enqueue


def frame_buffers(
    setup: Setup, gpu: Gpu, resources: ResourceStack, detail: bool, steady: float
) -> tuple[FrameKernels, Buffers]:
    """Kernels of one frame with everything they need."""
    kernels = FrameKernels(
        *setup.shape,
        np.uint8,
        setup.fit,
        setup.artifact.info.thermal,
        PICTURE,
        detail,
        "colour",
        False,
        "float16",
        steady=steady,
    )
    sizes = {
        "input": kernels.input_bytes,
        "clock": ALIGNMENT,
        "state": kernels.state_bytes,
        "steady": max(kernels.steady_bytes, 1),
        "thermal": kernels.thermal_bytes,
        "rgb": 3 * kernels.thermal_bytes,
        "scratch": kernels.scratch_bytes,
        "output": kernels.output_bytes,
    }
    buffers = Buffers(**{name: memory(gpu, resources, size) for name, size in sizes.items()})
    frame = noise_frames(1, setup.shape, np.uint8)[0].pixels
    pinned = gpu.allocate_pinned(frame.nbytes)
    resources.callback(gpu.free_pinned, pinned)
    pinned[:] = frame.reshape(-1)
    stream = stream_of(gpu, resources)
    gpu.copy_to_device(buffers.input, pinned, stream)
    gpu.synchronize_stream(stream)
    return kernels, buffers
