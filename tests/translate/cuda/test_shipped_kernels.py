"""The compiled kernels that the package carries: of this source, whole, for the cards they name."""

from __future__ import annotations

import lzma
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ladle_rt.cuda import compile as compiling
from ladle_rt.cuda.probe import CudaDevice
from ladle_rt.errors import BackendError
from ladle_rt.translate.cuda import kernels as module
from ladle_rt.translate.cuda.frame_kernels import KERNELS
from ladle_rt.translate.cuda.kernels import (
    SHIPPED,
    check_compiler,
    frame_cubin,
    kernel_source,
    shipped_name,
)

FOLDER = Path(module.__file__).parent / "cubins"
ELF = b"\x7fELF"
AGAIN = "the kernels changed: renew the cubins, see `benchmarks/kernel_cubins.py`"
LIMIT_BYTES = 1_000_000
"""Of all together as they lie in the package."""


def on(driver: str, capability: tuple[int, int] = (8, 6)) -> CudaDevice:
    return CudaDevice("Fake", capability, driver)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise BackendError("neither NVRTC nor nvcc; run: pip install")

    monkeypatch.setattr(module, "find_compiler", none)
    monkeypatch.setattr(module, "cubin", none)


def test_they_are_of_this_source_for_every_card_and_small() -> None:
    names = {shipped_name(kernel_source(), architecture) for architecture in SHIPPED}
    assert {path.name for path in FOLDER.iterdir()} == names, AGAIN
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < LIMIT_BYTES


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("architecture", SHIPPED)
def test_each_is_whole_and_for_the_card_that_it_names(
    monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    number = int(architecture[3:])
    device = on(f"{SHIPPED[architecture]}.0", (number // 10, number % 10))
    monkeypatch.setattr(module, "cuda_devices", lambda: (device,))
    cubin = frame_cubin(device.compute_capability)
    assert cubin.startswith(ELF)
    # The architecture lies in the file's flags: in their last byte, from CUDA 13 on in the next.
    assert number in cubin[48:50]
    assert all(f".text.{name}\0".encode() in cubin for name in KERNELS)


@pytest.fixture
def ships(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that carries kernels for sm_86 and sm_110 alone."""
    monkeypatch.setattr(module.resources, "files", lambda package: tmp_path)
    monkeypatch.setattr(module, "kernel_source", lambda: "source")
    (tmp_path / "cubins").mkdir()
    for architecture in ("sm_86", "sm_110"):
        packed = lzma.compress(ELF + f" of {architecture}".encode())
        (tmp_path / "cubins" / shipped_name("source", architecture)).write_bytes(packed)


@pytest.mark.usefixtures("ships", "no_compiler")
def test_common_cards_need_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cuda_devices", lambda: (on("12.4"),))
    assert frame_cubin((8, 6)) == ELF + b" of sm_86"
    assert check_compiler(on("12.4")) == "none needed, the kernels for sm_86 come compiled"


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cuda_devices", lambda: (on("12.4"),))
    monkeypatch.setattr(module, "cubin", lambda source, *_: f"compiled {source}".encode())
    monkeypatch.setattr(module, "find_compiler", lambda *_: SimpleNamespace(name="nvrtc-12.4"))


@pytest.mark.usefixtures("ships", "compiler")
def test_none_of_another_source(monkeypatch: pytest.MonkeyPatch) -> None:
    assert frame_cubin((8, 6)) == ELF + b" of sm_86"
    for changed in ("source ", "other"):
        monkeypatch.setattr(module, "kernel_source", lambda changed=changed: changed)
        assert frame_cubin((8, 6)) == f"compiled {changed}".encode()
        assert check_compiler(on("12.4")) == "nvrtc-12.4"


@pytest.mark.usefixtures("ships", "compiler")
@pytest.mark.parametrize("left", [0, 40])
def test_a_damaged_one_is_compiled_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    path = tmp_path / "cubins" / shipped_name("source", "sm_86")
    path.write_bytes(path.read_bytes()[:left])
    assert frame_cubin((8, 6)) == b"compiled source"
    (line,) = caplog.messages
    assert path.name in line and "damaged" in line


def test_another_way_to_compile_is_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shipped_name("source", "sm_86")
    monkeypatch.setattr(compiling, "STANDARD", "--std=c++20")
    assert shipped_name("source", "sm_86") != before


@pytest.mark.usefixtures("ships", "no_compiler")
@pytest.mark.parametrize(
    ("driver", "capability"), [("13.0", (9, 0)), ("11.8", (8, 6)), ("12.6", (11, 0))]
)
def test_others_and_old_drivers_do(
    monkeypatch: pytest.MonkeyPatch, driver: str, capability: tuple[int, int]
) -> None:
    device = on(driver, capability)
    monkeypatch.setattr(module, "cuda_devices", lambda: (device,))
    with pytest.raises(BackendError, match="neither NVRTC nor nvcc"):
        frame_cubin(capability)
    with pytest.raises(BackendError, match="neither NVRTC nor nvcc"):
        check_compiler(device)
