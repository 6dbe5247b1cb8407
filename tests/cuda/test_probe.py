"""Whether there is a GPU, and in words why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ladle_rt.config import CudaBinding
from ladle_rt.cuda import probe
from ladle_rt.cuda.driver import Driver
from ladle_rt.cuda.nvtx import mark
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError, cuda_devices
from ladle_rt.cuda.select import open_gpu
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
@pytest.mark.parametrize("binding", ["bindings", "pycuda"])
def test_reasons(
    monkeypatch: pytest.MonkeyPatch, result: Any, words: str, binding: CudaBinding
) -> None:
    found(monkeypatch, result)
    with pytest.raises(BackendError, match=words) as caught:
        # Asked before pycuda is imported, which fails without libcuda.
        open_gpu(binding)
    line = str(caught.value)
    assert line.startswith("no GPU to translate on: ") and "--backend" in line
    assert "\n" not in line


def test_device_files_that_this_user_may_not_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia-caps", "nvidiactl", "nvmap"):
        (tmp_path / name).touch()
    monkeypatch.setattr(probe, "DEVICE_FILES", tmp_path)
    assert probe._forbidden() == ""
    for closed in ({"nvidia0"}, {"nvidiactl"}, {"nvidia1", "nvmap"}):
        monkeypatch.setattr(
            probe.os, "access", lambda path, mode, closed=closed: path.name not in closed
        )
        listed = ", ".join(str(tmp_path / name) for name in sorted(closed))
        assert f"may not open {listed} (" in probe._forbidden()
    monkeypatch.setattr(probe.os, "access", lambda path, mode: path.name != "nvidia-caps")
    assert probe._forbidden() == ""


@pytest.mark.skipif(bool(cuda_devices()), reason="there is a GPU")
def test_what_the_driver_does_not_have_is_one_line() -> None:
    pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
    driver = Driver(CudaDevice("One", (8, 6), "99.0"))
    with pytest.raises(BackendError, match=r"cuInit\(all\): not in this driver") as caught:
        driver.call("cuInit", 0, about="all")
    line = str(caught.value)
    assert line.endswith("update the driver") and "\n" not in line


def test_ranges_cost_nothing_without_nvtx() -> None:
    with mark("upload"):
        pass
