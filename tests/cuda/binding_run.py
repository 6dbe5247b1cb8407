"""A sequence through a binding, compared with the CPU; run by `test_bindings.py` on its own.

    python binding_run.py BINDING MODEL.onnx [FAKE_LIBCUDA]

With a fake driver: then also with calls that fail, other threads and other drivers.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ladle_rt.config import TranslateOptions
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.select import open_gpu
from ladle_rt.errors import BackendError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import ModelInfo, load_artifact
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.cuda.gpu_translator import GpuTranslator
from ladle_rt.translate.cuda.kernels import frame_cubin
from ladle_rt.translate.postprocess import PostProcessingTranslator

OPTIONS = TranslateOptions(size=(64, 96), detail="guided", mark=True, drift_warning=False)
PICTURE = PictureSpec("yuv420p", True)
FAILURES = {
    "cuDevicePrimaryCtxRetain": 999,
    "cuModuleLoadData": 209,
    "cuModuleLoadDataEx": 209,
    "cuStreamCreate": 2,
    "cuEventCreate": 2,
    "cuMemAlloc": 2,
    "cuMemsetD8Async": 700,
    "cuMemHostAlloc": 2,
    "cuLaunchKernel": 700,
    "cuStreamBeginCapture": 900,
    "cuGraphInstantiate": 2,
    "cuGraphLaunch": 2,
    "cuMemcpyHtoDAsync": 700,
    "cuEventSynchronize": 700,
}
"""Calls of the driver and the status that they fail with; either loads the kernels."""
DRIVERS = (12040, 12060, 13000)
IMAGE = b"host 12\0"
"""Kernels of the fake, as if CUDA 12 had compiled them."""


class Tripled:
    """`EnqueueEngine` that copies its input to each channel, by copies on the device."""

    name, network_dtype, capturable = "tripled", "float32", True

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int, frames: int = 1) -> None:
        self._gpu, self._bytes = gpu, 4 * shape[0] * shape[1]

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        for channel in range(3):
            target = rgb_ptr + channel * self._bytes
            self._gpu.copy_on_device(target, thermal_ptr, self._bytes, stream)

    def close(self) -> None: ...


class Disturbed(Tripled):
    """While it enqueues, so also in a capture, another thread opens the GPU and uses memory."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        super().enqueue(thermal_ptr, rgb_ptr, stream)
        with ThreadPoolExecutor(1) as other:
            other.submit(use_memory, self._binding).result()


class Stopped(Tripled):
    """While it enqueues, another thread waits for the whole device, which breaks every capture."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        super().enqueue(thermal_ptr, rgb_ptr, stream)
        with ThreadPoolExecutor(1) as other:
            other.submit(self._driver.cuCtxSynchronize).result()


class Careless(Tripled):
    """Enqueues from memory that it gives back before the graph is launched."""

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int, frames: int = 1) -> None:
        super().prepare(shape, gpu, stream, frames)
        self._held = [gpu.allocate(self._bytes)]

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        super().enqueue(thermal_ptr, rgb_ptr, stream)
        if self._held:
            self._gpu.copy_on_device(rgb_ptr, self._held[0], self._bytes, stream)

    def give_back(self) -> None:
        self._gpu.free(self._held.pop())


class OnCpu:
    """The same network for `CpuTranslator`."""

    name = "tripled"

    def runner(self) -> Any:
        return lambda thermal: np.repeat(thermal, 3, axis=1)


def frames() -> list[Frame]:
    rng = np.random.default_rng(0)
    shapes = [(100, 140)] * 4 + [(75, 61)] * 2
    return [
        Frame(rng.integers(20, 200, shape, np.uint8), number, number * 33_000_000)
        for number, shape in enumerate(shapes)
    ]


def drive(translator: Any) -> list[Any]:
    with translator:
        seen = []
        for frame in frames():
            translator.submit(frame)
            seen.append(translator.collect(60).picture.data.astype(int))
    return seen


def on_gpu(binding: Any, info: ModelInfo, fake: bool, engine: Any = None) -> list[Any]:
    image = (lambda capability: IMAGE) if fake else frame_cubin
    made = engine or Tripled()
    return drive(
        GpuTranslator(
            lambda: open_gpu(binding), lambda gpu: made, info, OPTIONS, PICTURE, image=image
        )
    )


def use_memory(binding: Any) -> None:
    """What any other user of the GPU does at any moment."""
    gpu = open_gpu(binding)
    stream = gpu.create_stream()
    pointer, array = gpu.allocate(1 << 12), gpu.allocate_pinned(1 << 12)
    gpu.copy_to_device(pointer, array, stream)
    gpu.synchronize_stream(stream)
    gpu.free(pointer)
    gpu.free_pinned(array)
    gpu.destroy_stream(stream)
    gpu.close()


def freed_under_a_graph(binding: Any) -> str:
    """What launching a graph says whose memory is gone."""
    gpu = open_gpu(binding)
    stream, engine = gpu.create_stream(), Careless()
    engine.prepare((64, 96), gpu, stream)
    ends = [gpu.allocate(3 * 4 * 64 * 96) for _ in range(2)]
    gpu.begin_capture(stream)
    engine.enqueue(*ends, stream)
    graph = gpu.end_capture(stream)
    gpu.launch_graph(graph, stream)
    engine.give_back()
    try:
        gpu.launch_graph(graph, stream)
        said = ""
    except BackendError as error:
        said = str(error)
    gpu.destroy_graph(graph)
    for pointer in ends:
        gpu.free(pointer)
    gpu.destroy_stream(stream)
    gpu.close()
    return said


def refusal(binding: Any, info: ModelInfo) -> str:
    """Why the run ended, if it did."""
    try:
        on_gpu(binding, info, True)
    except BackendError as error:
        return str(error)
    return ""


def on_one_memory(driver: Any, error: Callable[[], int]) -> list[Any]:
    """Error, pictures copied, what is left and what a refused mapping says, where the GPU works in
    the host's memory."""
    copied = driver.fake_calls(b"cuMemcpyDtoHAsync")
    driver.fake_integrated(1)
    largest = error()
    copied = driver.fake_calls(b"cuMemcpyDtoHAsync") - copied
    left = live(driver)
    driver.fake_fail(b"cuMemHostGetDevicePointer", 0, 2)
    try:
        error()
        said = ""
    except BackendError as refused:
        said = str(refused)
    driver.fake_fail(b"", 0, 0)
    driver.fake_integrated(0)
    return [largest, copied, left, said, live(driver)]


def main() -> None:
    binding, model, *library = sys.argv[1:]
    info = load_artifact(Path(model)).info
    on_cpu = CpuTranslator(OnCpu(), info, OPTIONS, PICTURE, 1)
    expected = drive(PostProcessingTranslator(on_cpu, OPTIONS, info.thermal))
    # Global: pycuda may have been built without a libcuda to link to.
    driver = ctypes.CDLL(library[0], mode=ctypes.RTLD_GLOBAL) if library else None

    def error(engine: Any = None) -> int:
        actual = on_gpu(binding, info, driver is not None, engine)
        return max(int(np.abs(a - b).max()) for a, b in zip(actual, expected, strict=True))

    result: dict[str, Any] = {"largest error": error()}
    if driver is not None:
        result["left"] = live(driver)
        graphs = driver.fake_calls(b"cuGraphLaunch")
        result["disturbed"] = [error(Disturbed(binding)), live(driver)]
        both = driver.fake_calls(b"cuGraphLaunch")
        result["graphs"] = [graphs, both - graphs]
        result["stopped"] = [error(Stopped(driver)), live(driver)]
        result["eager"] = driver.fake_calls(b"cuGraphLaunch") - both
        result["integrated"] = on_one_memory(driver, error)
        result["freed"] = [freed_under_a_graph(binding), live(driver)]
        result["failures"] = {}
        for call, status in FAILURES.items():
            driver.fake_fail(call.encode(), 0, status)
            said = refusal(binding, info)
            result["failures"][call] = [said, live(driver)]
        driver.fake_fail(b"", 0, 0)
        result["drivers"] = {}
        for version in DRIVERS:
            driver.fake_version(version)
            result["drivers"][version] = [refusal(binding, info), live(driver)]
        driver.fake_version(13000)
        global IMAGE
        IMAGE = b"host 14\0"
        result["foreign"] = [refusal(binding, info), live(driver)]
    print(json.dumps(result))


def live(driver: Any) -> str:
    text = ctypes.create_string_buffer(400)
    driver.fake_live(text, len(text))
    return text.value.decode()


if __name__ == "__main__":
    main()
