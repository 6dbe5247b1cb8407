"""Everything about the GPU in one go, on any NVIDIA machine, in a few minutes.

    python benchmarks/gpu_check.py [--output benchmarks/results/gpu_check_NAME.json]

Parts that cannot run (no TensorRT, torch without CUDA as on a Jetson, no compute-sanitizer) are
skipped with the reason.
Exit codes: 0 every part that ran passed, 1 one failed, 3 there is no GPU and nothing was written.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from gpu_measure import (
    FailedError,
    SkippedError,
    compare_pictures,
    latency_and_rate,
    noise_frames,
    percentiles,
    run_parts,
)
from helpers import write_result

from ladle_rt.benchmark.latency import translate_all
from ladle_rt.config import TranslateOptions
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError, probe_cuda
from ladle_rt.cuda.select import open_gpu
from ladle_rt.engines.plan.cache import list_plans
from ladle_rt.geometry import fit_letterbox
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.base import Translator
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.cuda.frame_kernels import ALIGNMENT, Buffers, FrameKernels
from ladle_rt.translate.cuda.gpu_translator import GpuTranslator
from ladle_rt.translate.cuda.kernels import frame_cubin
from ladle_rt.translate.postprocess import PostProcessingTranslator
from ladle_rt.translate.torch_backend import TorchEngine

SHAPE = (512, 640)
FRAMES = 300
PICTURE = PictureSpec("yuv420p", True)
# With detail planes are used too. Engines on the CPU leave flicker suppression to others.
OPTIONS = TranslateOptions(detail="guided", warm_start=False, steady=0.0)
ARTIFACT = load_artifact()
COPY_BYTES = 256 << 20
REPEATS = 50


class CopyEngine:
    """A network that shows its input in every channel: the frame kernels without torch."""

    name, network_dtype, capturable = "copy", "float32", True

    def supports(self, shape: tuple[int, int], frames: int = 1) -> bool:
        """See `EnqueueEngine.supports`."""
        return frames == 1

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int, frames: int = 1) -> None:
        """See `EnqueueEngine.prepare`."""
        self._gpu, self._bytes = gpu, 4 * shape[0] * shape[1]

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


def copy_translator(options: TranslateOptions | None = None) -> Translator:
    """The ring with frame kernels alone."""
    chosen = options or OPTIONS
    return GpuTranslator(
        open_gpu,
        lambda gpu: CopyEngine(),
        ARTIFACT.info,
        chosen,
        PICTURE,
        image=frame_cubin,
    )


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


def parity(
    make: Callable[[], Translator],
    tolerance: int,
    share: float,
    reference: Callable[[], Translator] = cpu_translator,
) -> Callable[[], dict[str, Any]]:
    """Pictures of a GPU translator against the CPU's, 8 and 16 bit."""

    def part() -> dict[str, Any]:
        figures = {}
        with make() as translator:
            for dtype in (np.uint8, np.uint16):
                ours = translate_all(translator, noise_frames(12, SHAPE, dtype))
                with reference() as cpu:
                    theirs = translate_all(cpu, noise_frames(12, SHAPE, dtype))
                name = np.dtype(dtype).name
                figures[name] = compare_pictures(ours, theirs, tolerance, share)
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
            figures = latency_and_rate(translator, frames)
        figures["bare_fps"] = bare_fps()
        figures["of_bare"] = float(f"{figures['fps'] / figures['bare_fps']:.3g}")
        return figures

    return part


def bare_tensorrt_fps() -> float:
    """Frames a second of the plan alone, replayed as a CUDA graph on one stream."""
    from ladle_rt.translate.cuda.tensorrt_engine import TensorRtEngine

    entry = next(entry for entry in list_plans(OPTIONS.engines) if entry.header)
    gpu = open_gpu()
    try:
        engine = TensorRtEngine(entry.path.read_bytes(), entry.header.edition)
        stream = gpu.create_stream()
        height, width = ARTIFACT.info.train_size
        ends = [gpu.allocate(4 * channels * height * width) for channels in (1, 3)]
        engine.prepare((height, width), gpu, stream)
        engine.enqueue(*ends, stream)
        gpu.synchronize_stream(stream)
        gpu.begin_capture(stream)
        engine.enqueue(*ends, stream)
        graph = gpu.end_capture(stream)
        start = time.perf_counter()
        for _ in range(FRAMES):
            gpu.launch_graph(graph, stream)
        gpu.synchronize_stream(stream)
        took_s = time.perf_counter() - start
        gpu.destroy_graph(graph)
        engine.close()
        return float(f"{FRAMES / took_s:.4g}")
    finally:
        gpu.close()


def bare_torch_fps() -> float:
    """Frames a second of the network alone, replayed as a CUDA graph on one stream."""
    import torch

    from ladle_rt.translate.torch_backend import load_module

    _, module = load_module(ARTIFACT)
    module = module.half().cuda().to(memory_format=torch.channels_last)
    frame = torch.rand((1, 1, *ARTIFACT.info.train_size), dtype=torch.float16, device="cuda")
    with torch.inference_mode():
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                module(frame)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            module(frame)
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(FRAMES):
            graph.replay()
        torch.cuda.synchronize()
    return float(f"{FRAMES / (time.perf_counter() - start):.4g}")


def kernel_bandwidth() -> dict[str, Any]:
    """Time of the launches before and after the network, against what their bytes need."""
    gpu = open_gpu()
    try:
        gpu.load_kernels(frame_cubin(gpu.capability))
        stream = gpu.create_stream()
        start, end = gpu.create_event(timing=True), gpu.create_event(timing=True)

        def timed(work: Callable[[], object]) -> float:
            times = []
            for _ in range(REPEATS):
                gpu.record_event(start, stream)
                work()
                gpu.record_event(end, stream)
                gpu.synchronize_event(end)
                times.append(gpu.elapsed_ms(start, end))
            return percentiles(times)["p50"]

        copies = [gpu.allocate(COPY_BYTES) for _ in range(2)]
        copy_ms = timed(lambda: gpu.copy_on_device(*copies, COPY_BYTES, stream))
        copied = float(f"{2 * COPY_BYTES / copy_ms / 1e6:.4g}")
        figures: dict[str, Any] = {"copy_gb_per_s": copied}
        for name, detail, steady in (
            ("plain", False, 0.0),
            ("steady", False, 1.0),
            ("detail", True, 0.0),
        ):
            kernels, buffers = frame_buffers(gpu, stream, detail, steady)
            before, after = kernels.before(buffers), kernels.after(buffers)
            moved = kernels.bytes_moved()
            for launch, least in zip(
                before + after, [*moved.before.values(), *moved.after.values()], strict=True
            ):
                ms = timed(lambda launch=launch: gpu.launch(launch, stream))
                reached = least / ms / 1e6
                figures[f"{name} {launch.kernel}"] = {
                    "ms": ms,
                    "of_copy": float(f"{reached / copied:.3g}"),
                }
            figures[f"{name} launches"] = len(before + after)
        return figures
    finally:
        gpu.close()


def frame_buffers(
    gpu: Gpu, stream: int, detail: bool, steady: float
) -> tuple[FrameKernels, Buffers]:
    """Kernels of one frame with everything they need; the GPU frees it when it is closed."""
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
    frame = noise_frames(1, SHAPE, np.uint8)[0].pixels
    pinned = gpu.allocate_pinned(frame.nbytes)
    pinned[:] = frame.reshape(-1)
    buffers = Buffers(
        input=gpu.allocate(kernels.input_bytes),
        clock=gpu.allocate(ALIGNMENT),
        state=gpu.allocate(kernels.state_bytes),
        steady=gpu.allocate(max(kernels.steady_bytes, 1)),
        thermal=gpu.allocate(kernels.thermal_bytes),
        rgb=gpu.allocate(3 * kernels.thermal_bytes),
        scratch=gpu.allocate(kernels.scratch_bytes),
        output=gpu.allocate(kernels.output_bytes),
    )
    gpu.copy_to_device(buffers.input, pinned, stream)
    gpu.synchronize_stream(stream)
    return kernels, buffers


def sanitizer() -> dict[str, Any]:
    """The parity part again under compute-sanitizer."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        raise SkippedError("compute-sanitizer is not on the PATH")
    command = [tool, "--error-exitcode", "9", sys.executable, __file__, "--only", "kernels"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        raise FailedError(f"compute-sanitizer: {done.stdout.strip()[-300:]}")
    return {"exit": done.returncode}


def parts() -> dict[str, Callable[[], dict[str, Any]]]:
    """Every part, in the order of their dependence."""
    return {
        "kernels": parity(copy_translator, 1, 0.005, copy_reference),
        "steady": parity(lambda: copy_translator(steady_options()), 1, 0.005, steady_reference),
        "torch fp32": parity(lambda: torch_translator("float32"), 1, 0.005),
        "torch fp16": parity(torch_translator, 4, 0.01),
        "tensorrt": parity(tensorrt_translator, 4, 0.01),
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
        results = run_parts(chosen)
    for name, part in results.items():
        print(f"{name:22s} {part.outcome:8s} {part.reason or part.figures}")
    if arguments.output:
        settings = {"device": asdict(device), "frames": FRAMES, "shape": list(SHAPE)}
        recorded = {name: asdict(part) for name, part in results.items()}
        write_result(arguments.output, "gpu_check", settings, recorded)
    raise SystemExit(any(part.outcome == "failed" for part in results.values()))


if __name__ == "__main__":
    main()
