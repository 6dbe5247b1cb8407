"""Everything about the GPU in one go, on any NVIDIA machine, in a few minutes.

    python benchmarks/gpu_check.py [--output benchmarks/results/gpu_check_NAME.json]

Parts that cannot run (TensorRT not installed, no compute-sanitizer) are skipped with the reason.
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
from ladle_rt.device import CudaDevice, CudaUnavailableError, probe_cuda
from ladle_rt.frames import TranslatedFrame
from ladle_rt.geometry import fit_box
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.base import Translator
from ladle_rt.translate.cuda.compile import cubin
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.pycuda_gpu import PycudaGpu
from ladle_rt.translate.cuda.translator import GpuTranslator
from ladle_rt.translate.torch_backend import TorchEngine

SHAPE = (512, 640)
FRAMES = 300
PICTURE = PictureSpec("yuv420p", True)
# With detail every kernel runs.
OPTIONS = TranslateOptions(detail="guided", warm_start=False)
ARTIFACT = load_artifact()
COPY_BYTES = 256 << 20
REPEATS = 50


def torch_translator(dtype: str = "float16", capturable: bool = True) -> Translator:
    """The ring with torch as its network."""

    def open_engine(gpu: Any) -> TorchEngine:
        engine = TorchEngine(ARTIFACT, dtype=dtype)
        engine.capturable = capturable
        return engine

    return GpuTranslator(PycudaGpu, open_engine, ARTIFACT.info, OPTIONS, PICTURE)


def tensorrt_translator() -> Translator:
    """The ring with a plan that is built here if none fits."""
    if not any(map(importlib.util.find_spec, ("tensorrt", "tensorrt_rtx"))):
        raise SkippedError("no TensorRT is installed")
    return create_translator(ARTIFACT, replace(OPTIONS, backend="tensorrt"), PICTURE)


def reference(dtype: type) -> list[TranslatedFrame]:
    """The CPU's pictures."""
    with create_translator(ARTIFACT, replace(OPTIONS, backend="onnxruntime"), PICTURE) as cpu:
        return translate_all(cpu, noise_frames(12, SHAPE, dtype))


def parity(
    make: Callable[[], Translator], tolerance: int, share: float
) -> Callable[[], dict[str, Any]]:
    """Pictures of a GPU translator against the CPU's, 8 and 16 bit."""

    def part() -> dict[str, Any]:
        figures = {}
        with make() as translator:
            for dtype in (np.uint8, np.uint16):
                ours = translate_all(translator, noise_frames(12, SHAPE, dtype))
                name = np.dtype(dtype).name
                figures[name] = compare_pictures(ours, reference(dtype), tolerance, share)
        return figures

    return part


def graph_against_eager() -> dict[str, Any]:
    """The same frames with and without CUDA graphs: equal pictures, and the times of both."""
    frames = noise_frames(FRAMES, SHAPE, np.uint8)
    with torch_translator() as graph:
        with torch_translator(capturable=False) as eager:
            equal = compare_pictures(
                translate_all(graph, frames[:12]), translate_all(eager, frames[:12]), 1, 0.001
            )
        figures = {"graph": latency_and_rate(graph, frames)}
    with torch_translator(capturable=False) as eager:
        figures["eager"] = latency_and_rate(eager, frames)
    return {**equal, **figures}


def against_bare_loop(make: Callable[[], Translator]) -> Callable[[], dict[str, Any]]:
    """Rate and latency of the whole way, and the rate of the network alone."""

    def part() -> dict[str, Any]:
        frames = noise_frames(FRAMES, SHAPE, np.uint8)
        with make() as translator:
            figures = latency_and_rate(translator, frames)
        figures["bare_torch_fps"] = bare_torch_fps()
        figures["of_bare"] = float(f"{figures['fps'] / figures['bare_torch_fps']:.3g}")
        return figures

    return part


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
    gpu = PycudaGpu()
    try:
        gpu.load_kernels(cubin(gpu.capability))
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

        fit = fit_box(*SHAPE, ARTIFACT.info.train_size, ARTIFACT.info.size_multiple)
        thermal = ARTIFACT.info.thermal
        kernels = FrameKernels(
            *SHAPE, np.uint8, fit, thermal, PICTURE, True, "colour", False, "float16"
        )
        frame = noise_frames(1, SHAPE, np.uint8)[0].pixels
        pinned = gpu.allocate_pinned(frame.nbytes)
        pinned[:] = frame.reshape(-1)
        sizes = {
            "input": kernels.input_bytes,
            "state": kernels.state_bytes,
            "thermal": kernels.thermal_bytes,
            "rgb": 3 * kernels.thermal_bytes,
            "scratch": kernels.scratch_bytes,
            "time": 8,
            "output": kernels.output_bytes,
        }
        at = {name: gpu.allocate(size) for name, size in sizes.items()}
        gpu.copy_to_device(at["input"], pinned, stream)
        before = kernels.before(at["input"], at["state"], at["thermal"], at["scratch"], at["time"])
        after = kernels.after(at["input"], at["rgb"], at["scratch"], at["output"])
        moved = kernels.bytes_moved()
        copied = measured_copy_gb_per_s()
        figures: dict[str, Any] = {"copy_gb_per_s": copied}
        for name, launches, kinds in (
            ("before", before, moved.before),
            ("after", after, moved.after),
        ):
            ms = timed(lambda launches=launches: [gpu.launch(one, stream) for one in launches])
            reached = sum(kinds.values()) / ms / 1e6
            figures[name] = {
                "ms": ms,
                "gb_per_s": float(f"{reached:.4g}"),
                "of_copy": float(f"{reached / copied:.3g}"),
            }
        return figures
    finally:
        gpu.close()


def measured_copy_gb_per_s() -> float:
    """Bytes read and written per second by a large copy on the device."""
    import torch

    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    times = []
    for _ in range(REPEATS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        target.copy_(source)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return float(f"{2 * COPY_BYTES / percentiles(times)['p50'] / 1e6:.4g}")


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
        "kernels": parity(lambda: torch_translator("float32"), 1, 0.005),
        "torch fp16": parity(torch_translator, 4, 0.01),
        "tensorrt": parity(tensorrt_translator, 4, 0.01),
        "graph against eager": graph_against_eager,
        "ring, torch": against_bare_loop(torch_translator),
        "ring, tensorrt": against_bare_loop(tensorrt_translator),
        "bandwidth": kernel_bandwidth,
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
