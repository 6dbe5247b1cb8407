"""Whether there is a GPU, and in words why there is none."""

from __future__ import annotations

from typing import Any

import pytest

from ladle_rt.cuda import probe
from ladle_rt.cuda.nvtx import mark
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError
from ladle_rt.cuda.pycuda_gpu import PycudaGpu
from ladle_rt.errors import BackendError

DEVICES = (CudaDevice("One", (8, 6), "13.0"), CudaDevice("Two", (8, 9), "13.0"))


def found(monkeypatch: pytest.MonkeyPatch, result: Any) -> None:
    def probe_cuda() -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(probe, "probe_cuda", probe_cuda)


def test_devices_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, DEVICES)
    assert [probe.find_gpu(index).name for index in range(2)] == ["One", "Two"]
    for index in (-1, 2):
        with pytest.raises(BackendError, match=f"from 0 to 1, received {index}"):
            probe.find_gpu(index)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (CudaUnavailableError("no CUDA driver (libcuda) is installed"), "libcuda"),
        (CudaUnavailableError("CUDA_ERROR_NO_DEVICE (100) to cuInit"), "CUDA_ERROR_NO_DEVICE"),
        ((), "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_reasons(monkeypatch: pytest.MonkeyPatch, result: Any, words: str) -> None:
    found(monkeypatch, result)
    with pytest.raises(BackendError, match=words) as caught:
        # Asked before pycuda is imported, which fails without libcuda.
        PycudaGpu()
    line = str(caught.value)
    assert line.startswith("no GPU to translate on: ") and "--backend" in line
    assert "\n" not in line


def test_ranges_cost_nothing_without_nvtx() -> None:
    with mark("upload"):
        pass
