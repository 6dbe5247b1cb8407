"""A sequence through `PycudaGpu`, compared with the CPU; run by `test_pycuda.py` on its own.

    python pycuda_way.py MODEL.onnx [FAKE_LIBCUDA]

With a fake driver: then also with calls that fail.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import ModelInfo, load_artifact
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.compile import cubin
from ladle_rt.translate.cuda.pycuda_gpu import PycudaGpu
from ladle_rt.translate.cuda.translator import GpuTranslator
from ladle_rt.translate.workers import CpuTranslator

OPTIONS = TranslateOptions(size=(64, 96), detail="guided", mark=True)
PICTURE = PictureSpec("yuv420p", True)
FAILURES = {
    "cuDevicePrimaryCtxRetain": 999,
    "cuModuleLoadDataEx": 209,
    "cuStreamCreate": 2,
    "cuEventCreate": 2,
    "cuMemAlloc": 2,
    "cuMemsetD8": 700,
    "cuMemHostAlloc": 2,
    "cuLaunchKernel": 700,
    "cuStreamBeginCapture": 900,
    "cuGraphInstantiate": 2,
    "cuGraphLaunch": 700,
    "cuMemcpyHtoDAsync": 700,
    "cuEventSynchronize": 700,
}
"""Calls of the driver and the status that they fail with."""


class Tripled:
    """`EnqueueEngine` that copies its input to each channel, by copies on the device."""

    name, network_dtype, capturable = "tripled", "float32", True

    def prepare(self, shape: tuple[int, int], gpu: Any, stream: int) -> None:
        self._gpu, self._bytes = gpu, 4 * shape[0] * shape[1]

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        for channel in range(3):
            self._gpu._cuda.memcpy_dtod_async(
                rgb_ptr + channel * self._bytes,
                thermal_ptr,
                self._bytes,
                self._gpu._streams[stream],
            )

    def close(self) -> None: ...


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


def on_gpu(info: ModelInfo, fake: bool) -> list[Any]:
    image = (lambda capability: b"host") if fake else cubin
    return drive(
        GpuTranslator(PycudaGpu, lambda gpu: Tripled(), info, OPTIONS, PICTURE, image=image)
    )


def main() -> None:
    model, *library = sys.argv[1:]
    info = load_artifact(Path(model)).info
    expected = drive(CpuTranslator(OnCpu(), info, OPTIONS, PICTURE, 1))
    # Global: pycuda may have been built without a libcuda to link to.
    driver = ctypes.CDLL(library[0], mode=ctypes.RTLD_GLOBAL) if library else None
    actual = on_gpu(info, driver is not None)
    result: dict[str, Any] = {
        "largest error": max(
            int(np.abs(a - b).max()) for a, b in zip(actual, expected, strict=True)
        ),
    }
    if driver is not None:
        result["left"] = live(driver)
        result["failures"] = {}
        for call, status in FAILURES.items():
            driver.fake_fail(call.encode(), 0, status)
            try:
                on_gpu(info, True)
                said = ""
            except BackendError as error:
                said = str(error)
            result["failures"][call] = [said, live(driver)]
    print(json.dumps(result))


def live(driver: Any) -> str:
    text = ctypes.create_string_buffer(400)
    driver.fake_live(text, len(text))
    return text.value.decode()


if __name__ == "__main__":
    main()
