"""The compiled kernels that the package carries: of this source, whole, for the cards they name."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.cuda.probe import CudaDevice
from ladle_rt.errors import BackendError
from ladle_rt.translate.cuda import kernels as module
from ladle_rt.translate.cuda.frame_kernels import KERNELS
from ladle_rt.translate.cuda.kernels import (
    check_compiler,
    frame_cubin,
    kernel_source,
    shipped_cubin,
    shipped_name,
)

FOLDER = Path(module.__file__).parent / "cubins"
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


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*")), ids=lambda path: path.name)
def test_what_ships_is_of_this_source_whole_and_small(path: Path) -> None:
    architecture = path.name.partition("-")[0]
    assert path.name == shipped_name(kernel_source(), architecture), AGAIN
    assert path.stat().st_size < LIMIT_BYTES
    cubin = shipped_cubin(kernel_source(), architecture)
    assert cubin is not None and cubin.startswith(ELF)
    assert all(f".text.{name}\0".encode() in cubin for name in KERNELS)


@pytest.fixture
def ships(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that carries kernels for sm_86 alone."""
    monkeypatch.setattr(module.resources, "files", lambda package: tmp_path)
    monkeypatch.setattr(module, "kernel_source", lambda: "source")
    (tmp_path / "cubins").mkdir()
    packed = lzma.compress(ELF + b" of sm_86")
    (tmp_path / "cubins" / shipped_name("source", "sm_86")).write_bytes(packed)


@pytest.mark.usefixtures("ships", "no_compiler")
def test_common_cards_need_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cuda_devices", lambda: (on("12.4"),))
    assert frame_cubin((8, 6)) == ELF + b" of sm_86"
    assert check_compiler(on("12.4")) == "none needed, the kernels for sm_86 come compiled"


@pytest.mark.usefixtures("ships")
def test_none_of_another_source() -> None:
    assert shipped_cubin("source", "sm_86") and shipped_cubin("source ", "sm_86") is None


@pytest.mark.usefixtures("ships", "no_compiler")
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
