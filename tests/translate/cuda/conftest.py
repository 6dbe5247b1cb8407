"""Runs the CUDA kernels on the CPU: compiled for the host behind ``host_shim.h``."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from once import once

from ladle_rt.cuda.launch import Launch
from ladle_rt.frames import ThermalPixels
from ladle_rt.translate.cuda.frame_clock import Clock
from ladle_rt.translate.cuda.frame_kernels import KERNELS, FrameKernels
from ladle_rt.translate.cuda.frame_memory import ALIGNMENT, Buffers
from ladle_rt.translate.cuda.kernels import kernel_source

SHIM = Path(__file__).resolve().parents[2] / "cuda" / "host_shim.h"
FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC")
"""No fused multiply-add: whether the host has one must not change results."""
GUARD = 0xA5
"""Fills what surrounds every buffer, and scratch and output before the first launch."""


class HostGpu:
    """Launches kernels compiled for the host."""

    FAULTS = ("", "a barrier that not all threads reach", "no such kernel", "wrong argument sizes")

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))

    @contextmanager
    def backwards(self) -> Iterator[None]:
        """Blocks and threads run last to first meanwhile."""
        self._library.run_backwards(1)
        yield
        self._library.run_backwards(0)

    def launch(self, launch: Launch) -> None:
        packed = [ctypes.create_string_buffer(arg.pack(), len(arg.pack())) for arg in launch.args]
        count = len(packed)
        fault = self._library.launch(
            launch.kernel.encode(),
            (ctypes.c_uint * 3)(*launch.grid),
            (ctypes.c_uint * 3)(*launch.block),
            (ctypes.c_void_p * count)(*(ctypes.addressof(part) for part in packed)),
            (ctypes.c_size_t * count)(*(len(part) for part in packed)),
            ctypes.c_size_t(count),
        )
        assert not fault, f"{launch.kernel}: {self.FAULTS[fault]}"


class Buffer:
    """Memory with guards on both sides."""

    def __init__(self, size: int, fill: int = GUARD) -> None:
        self._all = np.full(size + 3 * ALIGNMENT, GUARD, np.uint8)
        start = ALIGNMENT + -(self._all.ctypes.data) % ALIGNMENT
        self._start, self._size = start, size
        self.bytes = self._all[start : start + size]
        self.bytes[:] = fill

    @property
    def pointer(self) -> int:
        return self.bytes.ctypes.data

    def check(self) -> None:
        outside = np.delete(self._all, slice(self._start, self._start + self._size))
        assert (outside == GUARD).all(), "a kernel wrote beyond its buffer"


class HostKernels:
    """One translator's buffers and one frame's at a time."""

    def __init__(self, gpu: HostGpu, kernels: FrameKernels, smoothing_s: float = 1.0) -> None:
        self._gpu, self._kernels, self._dtype = gpu, kernels, kernels.network_dtype
        self._clock = Clock(smoothing_s)
        self.state = Buffer(kernels.state_bytes, 0)
        self._steady = Buffer(kernels.steady_bytes, 0)
        self._thermal = Buffer(kernels.thermal_bytes)
        self._scratch = Buffer(kernels.scratch_bytes)
        start = kernels.scratch_start
        self._scratch.bytes[: start.size] = start
        self._input = Buffer(kernels.input_bytes)

    def before(self, pixels: ThermalPixels, time_s: float) -> npt.NDArray[Any]:
        """Frame to network input, HxW."""
        self._input.bytes[:] = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
        self._thermal.bytes[:] = GUARD
        packed = self._clock.tick(time_s).pack()
        clock = Buffer(len(packed))
        clock.bytes[:] = np.frombuffer(packed, np.uint8)
        self._run(self._kernels.before(self._buffers(clock=clock)), self._thermal)
        return self._thermal.bytes.view(self._dtype).reshape(self._kernels.network_shape).copy()

    def after(self, rgb: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Network output 3xHxW of the same frame to ``Picture.data``."""
        output = Buffer(self._kernels.output_bytes)
        source = Buffer(3 * self._kernels.thermal_bytes)
        source.bytes[:] = np.ascontiguousarray(rgb, self._dtype).reshape(-1).view(np.uint8)
        self._run(self._kernels.after(self._buffers(rgb=source, output=output)), output)
        return output.bytes.reshape(self._kernels.output_shape)

    def _buffers(self, **more: Buffer) -> Buffers:
        addresses = dict.fromkeys(("clock", "rgb", "output"), 0)
        return Buffers(
            input=self._input.pointer,
            state=self.state.pointer,
            steady=self._steady.pointer,
            thermal=self._thermal.pointer,
            scratch=self._scratch.pointer,
            **{**addresses, **{name: buffer.pointer for name, buffer in more.items()}},
        )

    def _run(self, launches: Sequence[Launch], result: Buffer) -> None:
        for launch in launches:
            self._gpu.launch(launch)
        kept = self.state, self._steady, self._scratch, self._input, self._thermal, result
        for buffer in kept:
            buffer.check()


@pytest.fixture(scope="session")
def host_gpu(tmp_path_factory: pytest.TempPathFactory) -> HostGpu:
    """The kernels, compiled once for all workers."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler (g++ or c++ on PATH) to compile the kernels for the host")
    table = ", ".join(f"HOST_KERNEL({name})" for name in KERNELS)
    unit = tmp_path_factory.mktemp("kernels") / "kernels.cpp"
    unit.write_text(
        f'#include "{SHIM}"\n{kernel_source()}\nHOST_LAUNCHER({table})\n',
        encoding="utf-8",
    )

    def compiled(library: Path) -> None:
        done = subprocess.run(
            [compiler, *FLAGS, str(unit), "-o", str(library)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return HostGpu(once(tmp_path_factory, "kernels.so", compiled))


@pytest.fixture(scope="session")
def host_kernels(host_gpu: HostGpu) -> Callable[[FrameKernels], HostKernels]:
    """Makes `HostKernels` of a plan."""
    return partial(HostKernels, host_gpu)
