"""Everything about the GPU in one go, on any NVIDIA machine, in a few minutes.

    python benchmarks/gpu_check.py [--output benchmarks/results/gpu_check_NAME.json]

Parts that cannot run (no TensorRT, torch without CUDA as on a Jetson, no pycuda, no
compute-sanitizer) are skipped with the reason. Each is printed and recorded as soon as it ends.
Exit codes: 0 every part that ran passed, 1 one failed, 3 there is no GPU and nothing was written.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from gpu_measure import (
    FailedError,
    Part,
    SkippedError,
    compare_pictures,
    latency_and_rate,
    noise_frames,
    run_parts,
)
from helpers import write_result

from ladle_rt.benchmark.latency import translate_all
from ladle_rt.config import CudaBinding, TranslateOptions
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.launch import Launch
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError, probe_cuda
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.cuda.select import open_gpu, require_binding
from ladle_rt.cuda.tensorrt_edition import find_tensorrt
from ladle_rt.engines.plan.timing import WARM_UP_S, GraphTimer, medians_in_turns
from ladle_rt.errors import MissingDependencyError
from ladle_rt.frames import TranslatedFrame
from ladle_rt.geometry import fit_letterbox
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.base import Translator
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.frame_memory import ALIGNMENT, Buffers
from ladle_rt.translate.cuda.frame_shapes import NetworkDtype
from ladle_rt.translate.cuda.gpu_translator import GpuTranslator
from ladle_rt.translate.cuda.kernels import frame_cubin
from ladle_rt.translate.plans import fitting_plan
from ladle_rt.translate.postprocess import PostProcessingTranslator
from ladle_rt.translate.torch_backend import TorchEngine

SHAPE = (512, 640)
FRAMES = 300
COMPARED = 12
PICTURE = PictureSpec("yuv420p", True)
# With detail planes are used too. Engines on the CPU leave flicker suppression to others.
OPTIONS = TranslateOptions(detail="guided", warm_start=False, steady=0.0)
ARTIFACT = load_artifact()
COPY_BYTES = 256 << 20
REPEATS = 50
IN_A_ROW = 20
"""Launches of a kernel that are timed as one: a single one is shorter than its launch."""
SANITIZER_LIMIT_S = 120


class CopyEngine:
    """A network that shows its input in every channel: the frame kernels without torch."""

    name, capturable = "copy", True

    def __init__(self, network_dtype: NetworkDtype = "float32") -> None:
        self.network_dtype = network_dtype

    def supports(self, shape: tuple[int, int]) -> bool:
        """See `EnqueueEngine.supports`."""
        return True

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int) -> None:
        """See `EnqueueEngine.prepare`."""
        itemsize = np.dtype(self.network_dtype).itemsize
        self._gpu, self._bytes = gpu, itemsize * shape[0] * shape[1]

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        """See `EnqueueEngine.enqueue`."""
        for channel in range(3):
            target = rgb_ptr + channel * self._bytes
            self._gpu.copy_on_device(target, thermal_ptr, self._bytes, stream)

    def close(self) -> None:
        """See `EnqueueEngine.close`."""


class CopyNetwork:
    """The same on the CPU."""

    name = "copy"

    def runner(self) -> Callable[[Any], Any]:
        """See `Network.runner`."""
        return lambda thermal: np.repeat(thermal, 3, axis=1)


def copy_translator(
    options: TranslateOptions | None = None,
    network_dtype: NetworkDtype = "float32",
    binding: CudaBinding = "bindings",
) -> Translator:
    """The ring with frame kernels alone."""
    return GpuTranslator(
        lambda: open_gpu(binding),
        lambda gpu: CopyEngine(network_dtype),
        ARTIFACT.info,
        options or OPTIONS,
        PICTURE,
        image=frame_cubin,
    )


def pycuda_translator() -> Translator:
    """The same through the other binding of the driver."""
    try:
        require_binding("pycuda")
    except MissingDependencyError as reason:
        raise SkippedError(str(reason)) from None
    return copy_translator(binding="pycuda")


def copy_reference() -> Translator:
    """The same pictures by the CPU."""
    return CpuTranslator(CopyNetwork(), ARTIFACT.info, OPTIONS, PICTURE, 1)


def steady_options() -> TranslateOptions:
    """Flicker suppression, and the picture straight from the network's output."""
    return replace(OPTIONS, steady=1.0, detail="none", drift_warning=False)


def steady_reference() -> Translator:
    """Made steady by the CPU."""
    options, info = steady_options(), ARTIFACT.info
    inner = CpuTranslator(CopyNetwork(), info, options, PICTURE, 1)
    return PostProcessingTranslator(inner, options, info.thermal)


def steady_cost() -> dict[str, Any]:
    """Rate and latency of the frame kernels without and with flicker suppression."""
    frames = noise_frames(FRAMES, SHAPE, np.uint8)
    figures = {}
    for name, strength in (("off", 0.0), ("on", 1.0)):
        with copy_translator(replace(steady_options(), steady=strength)) as translator:
            figures[name] = latency_and_rate(translator, frames)
    return figures


def torch_translator(dtype: str = "float16", graphs: bool = True) -> Translator:
    """The ring with torch as its network."""
    require_torch()
    return GpuTranslator(
        open_gpu,
        lambda gpu: TorchEngine(ARTIFACT, dtype=dtype, graphs=graphs),
        ARTIFACT.info,
        OPTIONS,
        PICTURE,
    )


def require_torch() -> None:
    """Skip a part where torch cannot use the GPU, as on a Jetson."""
    if importlib.util.find_spec("torch") is None:
        raise SkippedError("torch is not installed")
    import torch

    if not torch.cuda.is_available():
        raise SkippedError(f"torch {torch.__version__} cannot use this GPU")


def tensorrt_translator() -> Translator:
    """The ring with a plan that is built here if none fits."""
    if not any(map(importlib.util.find_spec, ("tensorrt", "tensorrt_rtx"))):
        raise SkippedError("no TensorRT is installed")
    return create_translator(ARTIFACT, replace(OPTIONS, backend="tensorrt"), PICTURE)


def cpu_translator() -> Translator:
    """The reference."""
    return create_translator(ARTIFACT, replace(OPTIONS, backend="onnxruntime"), PICTURE)


def pictures_of(reference: Callable[[], Translator], dtype: str) -> list[TranslatedFrame]:
    """What a translator of the CPU makes of the frames that all are compared on."""
    with reference() as cpu:
        return translate_all(cpu, noise_frames(COMPARED, SHAPE, dtype))


def parity(
    make: Callable[[], Translator],
    tolerance: int,
    share: float,
    expected: Callable[[str], list[TranslatedFrame]],
) -> Callable[[], dict[str, Any]]:
    """Pictures of a GPU translator against the CPU's, 8 and 16 bit.

    Args:
        make: opens the translator.
        tolerance: see `compare_pictures`.
        share: see `compare_pictures`.
        expected: the reference's pictures, by the frames' dtype.
    """

    def part() -> dict[str, Any]:
        figures = {}
        with make() as translator:
            for dtype in ("uint8", "uint16"):
                ours = translate_all(translator, noise_frames(COMPARED, SHAPE, dtype))
                figures[dtype] = compare_pictures(ours, expected(dtype), tolerance, share)
        return figures

    return part


def graph_against_eager() -> dict[str, Any]:
    """The same frames with and without CUDA graphs: equal pictures, and the times of both."""
    frames = noise_frames(FRAMES, SHAPE, np.uint8)
    with torch_translator() as graph:
        with torch_translator(graphs=False) as eager:
            equal = compare_pictures(
                translate_all(graph, frames[:12]), translate_all(eager, frames[:12]), 1, 0.001
            )
        figures = {"graph": latency_and_rate(graph, frames)}
    with torch_translator(graphs=False) as eager:
        figures["eager"] = latency_and_rate(eager, frames)
    return {**equal, **figures}


def against_bare_loop(
    make: Callable[[], Translator], bare_fps: Callable[[], float]
) -> Callable[[], dict[str, Any]]:
    """Rate and latency of the whole way, and the rate of the network alone."""

    def part() -> dict[str, Any]:
        frames = noise_frames(FRAMES, SHAPE, np.uint8)
        with make() as translator:
            figures = {"engine": translator.name, **latency_and_rate(translator, frames)}
        figures["bare_fps"] = bare_fps()
        figures["of_bare"] = float(f"{figures['fps'] / figures['bare_fps']:.3g}")
        return figures

    return part


def network_shape() -> tuple[int, int]:
    """Height and width that the network is given in every part."""
    box = OPTIONS.size or ARTIFACT.info.train_size
    return fit_letterbox(*SHAPE, box, ARTIFACT.info.size_multiple).padded


@contextlib.contextmanager
def opened() -> Iterator[tuple[Gpu, ResourceStack]]:
    """A GPU, and what gives back whatever is made on it."""
    resources = ResourceStack()
    try:
        gpu = open_gpu()
        resources.callback(gpu.close)
        yield gpu, resources
    finally:
        resources.close()


def memory(gpu: Gpu, resources: ResourceStack, size: int) -> int:
    """Device memory for as long as `opened` lasts."""
    pointer = gpu.allocate(size)
    resources.callback(gpu.free, pointer)
    return pointer


def rate(replay: Callable[[], object], wait: Callable[[], object]) -> float:
    """Replays a second, one after another, once the clocks are up."""
    start = time.perf_counter()
    while time.perf_counter() - start < WARM_UP_S:
        replay()
        wait()
    start = time.perf_counter()
    for _ in range(FRAMES):
        replay()
    wait()
    return float(f"{FRAMES / (time.perf_counter() - start):.4g}")


def bare_tensorrt_fps() -> float:
    """Frames a second of the plan alone on one stream, as a CUDA graph where it can be one."""
    from ladle_rt.translate.cuda.tensorrt_engine import TensorRtEngine

    tensorrt, shape = find_tensorrt(), network_shape()
    entry = fitting_plan(OPTIONS.engines, ARTIFACT, probe_cuda()[0], tensorrt, [shape])
    if entry is None:
        raise FailedError(f"no plan for {shape} where the run before left one")
    with opened() as (gpu, resources):
        engine = TensorRtEngine(entry.path.read_bytes(), tensorrt.edition)
        resources.callback(engine.close)
        item = np.dtype(engine.network_dtype).itemsize
        ends = [memory(gpu, resources, item * planes * shape[0] * shape[1]) for planes in (1, 3)]
        stream = gpu.create_stream()
        resources.callback(gpu.destroy_stream, stream)
        engine.prepare(shape, gpu, stream)
        engine.enqueue(*ends, stream)
        gpu.synchronize_stream(stream)

        def wait() -> None:
            gpu.synchronize_stream(stream)

        if not engine.capturable:
            return rate(lambda: engine.enqueue(*ends, stream), wait)
        gpu.begin_capture(stream)
        engine.enqueue(*ends, stream)
        graph = gpu.end_capture(stream)
        resources.callback(gpu.destroy_graph, graph)
        return rate(lambda: gpu.launch_graph(graph, stream), wait)


def bare_torch_fps() -> float:
    """Frames a second of the network alone, replayed as a CUDA graph on one stream."""
    import torch

    from ladle_rt.translate.torch_backend import load_module

    _, module = load_module(ARTIFACT)
    module = module.half().cuda().to(memory_format=torch.channels_last)
    frame = torch.rand((1, 1, *network_shape()), dtype=torch.float16, device="cuda")
    with torch.inference_mode():
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                module(frame)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            module(frame)
        return rate(graph.replay, torch.cuda.synchronize)


def kernel_bandwidth() -> dict[str, Any]:
    """Time of the launches before and after the network, against what their bytes need.

    Each kernel is timed by itself, as a graph of `IN_A_ROW` launches: between events around one
    launch a GPU mostly waits for the host.
    """
    with opened() as (gpu, resources):
        gpu.load_kernels(frame_cubin(gpu.capability))
        copies = [memory(gpu, resources, COPY_BYTES) for _ in range(2)]
        copy = GraphTimer(
            gpu, resources, lambda stream: gpu.copy_on_device(*copies, COPY_BYTES, stream)
        )
        (copy_ms,) = medians_in_turns([copy], rounds=REPEATS)
        copied = float(f"{2 * COPY_BYTES / copy_ms / 1e6:.4g}")
        figures: dict[str, Any] = {"copy_gb_per_s": copied}
        for name, detail, steady in (
            ("plain", False, 0.0),
            ("steady", False, 1.0),
            ("detail", True, 0.0),
        ):
            kernels, buffers = frame_buffers(gpu, resources, detail, steady)
            launches = kernels.before(buffers) + kernels.after(buffers)
            moved = kernels.bytes_moved()
            timers = [GraphTimer(gpu, resources, in_a_row(gpu, launch)) for launch in launches]
            times = medians_in_turns(timers, rounds=REPEATS)
            least = [*moved.before.values(), *moved.after.values()]
            for launch, row_ms, size in zip(launches, times, least, strict=True):
                ms = row_ms / IN_A_ROW
                figures[f"{name} {launch.kernel}"] = {
                    "ms": float(f"{ms:.4g}"),
                    "of_copy": float(f"{size / ms / 1e6 / copied:.3g}"),
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
    gpu: Gpu, resources: ResourceStack, detail: bool, steady: float
) -> tuple[FrameKernels, Buffers]:
    """Kernels of one frame with everything they need."""
    box = OPTIONS.size or ARTIFACT.info.train_size
    fit = fit_letterbox(*SHAPE, box, ARTIFACT.info.size_multiple)
    kernels = FrameKernels(
        *SHAPE,
        np.uint8,
        fit,
        ARTIFACT.info.thermal,
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
    frame = noise_frames(1, SHAPE, np.uint8)[0].pixels
    pinned = gpu.allocate_pinned(frame.nbytes)
    resources.callback(gpu.free_pinned, pinned)
    pinned[:] = frame.reshape(-1)
    stream = gpu.create_stream()
    resources.callback(gpu.destroy_stream, stream)
    gpu.copy_to_device(buffers.input, pinned, stream)
    gpu.synchronize_stream(stream)
    return kernels, buffers


def sanitizer() -> dict[str, Any]:
    """The parity part again under compute-sanitizer."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        raise SkippedError("compute-sanitizer is not on the PATH")
    command = [tool, "--error-exitcode", "9", sys.executable, __file__, "--only", "kernels"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SANITIZER_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise SkippedError(f"did not end within {SANITIZER_LIMIT_S} s") from None
    if done.returncode:
        raise FailedError(f"compute-sanitizer: {done.stdout.strip()[-300:]}")
    return {"exit": done.returncode}


def parts() -> dict[str, Callable[[], dict[str, Any]]]:
    """Every part, in the order of their dependence."""
    # A CPU translates the same frames once, however many parts are held against it.
    known = functools.cache(pictures_of)
    copied, made_steady, network = (
        functools.partial(known, reference)
        for reference in (copy_reference, steady_reference, cpu_translator)
    )
    return {
        "kernels": parity(copy_translator, 1, 0.005, copied),
        "kernels, half": parity(lambda: copy_translator(None, "float16"), 1, 0.005, copied),
        "kernels, pycuda": parity(pycuda_translator, 1, 0.005, copied),
        "steady": parity(lambda: copy_translator(steady_options()), 1, 0.005, made_steady),
        "torch fp32": parity(lambda: torch_translator("float32"), 1, 0.005, network),
        "torch fp16": parity(torch_translator, 4, 0.01, network),
        "tensorrt": parity(tensorrt_translator, 4, 0.01, network),
        "graph against eager": graph_against_eager,
        "ring, torch": against_bare_loop(torch_translator, bare_torch_fps),
        "ring, tensorrt": against_bare_loop(tensorrt_translator, bare_tensorrt_fps),
        "bandwidth": kernel_bandwidth,
        "steady, cost": steady_cost,
        "compute-sanitizer": sanitizer,
    }


def find_device() -> CudaDevice:
    """The first GPU, or the end of the program."""
    try:
        devices = probe_cuda()
    except CudaUnavailableError as reason:
        print(f"gpu_check: no GPU: {reason}; nothing was measured", file=sys.stderr)
        raise SystemExit(3) from None
    if not devices:
        print("gpu_check: no GPU: the driver shows none; nothing was measured", file=sys.stderr)
        raise SystemExit(3)
    return devices[0]


def main() -> None:
    """Run the parts, print a line each, record JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", choices=list(parts()), help="one part alone")
    arguments = parser.parse_args()
    device = find_device()
    if importlib.util.find_spec("torch"):
        import torch

        # The reference is in full fp32.
        torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        global OPTIONS
        OPTIONS = replace(OPTIONS, engines=Path(folder, "engines"))
        chosen = {key: part for key, part in parts().items() if arguments.only in (None, key)}

        def ended(so_far: dict[str, Part]) -> None:
            name, part = list(so_far.items())[-1]
            print(f"{name:22s} {part.outcome:8s} {part.reason or part.figures}", flush=True)
            if arguments.output:
                settings = {"device": asdict(device), "frames": FRAMES, "shape": list(SHAPE)}
                recorded = {name: asdict(part) for name, part in so_far.items()}
                write_result(arguments.output, "gpu_check", settings, recorded)

        results = run_parts(chosen, ended)
    raise SystemExit(any(part.outcome == "failed" for part in results.values()))


if __name__ == "__main__":
    main()
