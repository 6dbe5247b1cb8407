"""The compiled kernels that the package carries: of this source, whole, for the cards they name."""

from __future__ import annotations

from typing import Any

import pytest

from ladle_rt.cuda.probe import CudaDevice
from ladle_rt.errors import BackendError
from ladle_rt.translate.cuda import kernels as module
from ladle_rt.translate.cuda.frame_kernels import KERNELS
from ladle_rt.translate.cuda.kernels import (
    SHIPPED,
    check_compiler,
    frame_cubin,
    kernel_source,
    shipped_cubin,
)

ELF = b"\x7fELF"
AGAIN = "the kernels changed: run `python benchmarks/kernel_cubins.py --ship`"
LIMIT_BYTES = 150_000
"""Of one architecture as it lies in the package."""


def on(driver: str, capability: tuple[int, int] = (8, 6)) -> CudaDevice:
    return CudaDevice("Fake", capability, driver)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise BackendError("neither NVRTC nor nvcc; run: pip install")

    monkeypatch.setattr(module, "find_compiler", none)
    monkeypatch.setattr(module, "cubin", none)


@pytest.mark.parametrize("architecture", SHIPPED)
def test_of_this_source_with_every_kernel(architecture: str) -> None:
    cubin = shipped_cubin(kernel_source(), architecture)
    assert cubin is not None, AGAIN
    assert cubin.startswith(ELF)
    assert all(f".text.{name}\0".encode() in cubin for name in KERNELS)


def test_small_and_nothing_beside_them() -> None:
    folder = module.resources.files("ladle_rt.translate.cuda") / "cubins"
    files = {path.name: len(path.read_bytes()) for path in folder.iterdir()}
    expected = {module.shipped_name(kernel_source(), one) for one in SHIPPED}
    assert set(files) == expected, AGAIN
    assert max(files.values()) < LIMIT_BYTES


def test_none_of_another_source() -> None:
    assert shipped_cubin(kernel_source() + "\n", SHIPPED[0]) is None


@pytest.mark.usefixtures("no_compiler")
def test_common_cards_need_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cuda_devices", lambda: (on("12.4"),))
    assert frame_cubin((8, 6)) == shipped_cubin(kernel_source(), "sm_86")
    assert check_compiler(on("12.4")) == "none needed, the kernels for sm_86 come compiled"


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize(("driver", "capability"), [("13.0", (9, 0)), ("11.8", (8, 6))])
def test_others_and_old_drivers_do(
    monkeypatch: pytest.MonkeyPatch, driver: str, capability: tuple[int, int]
) -> None:
    device = on(driver, capability)
    monkeypatch.setattr(module, "cuda_devices", lambda: (device,))
    with pytest.raises(BackendError, match="neither NVRTC nor nvcc"):
        frame_cubin(capability)
    with pytest.raises(BackendError, match="neither NVRTC nor nvcc"):
        check_compiler(device)
