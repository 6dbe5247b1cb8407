"""The kernels compile for every GPU that is served; what is compiled is kept; errors are a line."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from ladle_rt.cuda import compile as compiling
from ladle_rt.cuda.compile import Compiler, Nvcc, Nvrtc, cubin
from ladle_rt.errors import BackendError, MissingDependencyError
from ladle_rt.translate.cuda.frame_kernels import KERNELS
from ladle_rt.translate.cuda.kernels import kernel_source

CAPABILITIES = [(7, 5), (8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (11, 0), (12, 0)]
ELF = b"\x7fELF"


def nvrtc() -> Compiler:
    try:
        return Nvrtc.load()
    except (MissingDependencyError, BackendError) as error:
        pytest.skip(f"no NVRTC: {error}")


def nvcc() -> Compiler:
    path = shutil.which("nvcc")
    if path is None:
        pytest.skip("no nvcc on PATH")
    return Nvcc.at(path)


class Counting:
    """A compiler that counts its calls."""

    name = "counting-1.0"

    def __init__(self) -> None:
        self.calls = 0

    def compile(self, source: str, architecture: str) -> bytes:
        self.calls += 1
        return ELF + architecture.encode() + source[:1].encode()


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    compiler = Counting()
    monkeypatch.setattr(compiling, "find_compiler", lambda driver_major: compiler)
    return compiler


def compiled(capability: tuple[int, int], folder: Path, source: str = "source") -> bytes:
    return cubin(source, capability, folder=folder)


def check(compiler: Compiler, capability: tuple[int, int]) -> None:
    binary = compiler.compile(kernel_source(), f"sm_{capability[0]}{capability[1]}")
    assert binary.startswith(ELF)
    missing = [name for name in KERNELS if f".text.{name}\0".encode() not in binary]
    assert not missing


def test_every_kernel_of_the_source_is_known() -> None:
    named = re.findall(r"^[A-Z_]+_KERNEL\((\w+), ", kernel_source(), re.MULTILINE)
    assert sorted(named) == sorted(KERNELS)


@pytest.mark.parametrize("compiler", [nvrtc, nvcc])
def test_compiles_for_a_gpu(compiler: Callable[[], Compiler]) -> None:
    check(compiler(), (8, 7) if compiler is nvrtc else (12, 0))


@pytest.mark.slow
@pytest.mark.parametrize("compiler", [nvrtc, nvcc])
@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda pair: f"sm_{pair[0]}{pair[1]}")
def test_compiles_for_every_gpu(
    compiler: Callable[[], Compiler], capability: tuple[int, int]
) -> None:
    check(compiler(), capability)


@pytest.mark.parametrize("compiler", [nvrtc, nvcc])
def test_errors_are_the_first_of_the_log(compiler: Callable[[], Compiler]) -> None:
    source = "\n__device__ int f() { return wrong; }\n__device__ int g() { return later; }\n"
    with pytest.raises(BackendError, match=r'kernels\.cu\(2\): error: .*"wrong"') as caught:
        compiler().compile(source, "sm_86")
    assert "\n" not in str(caught.value) and "later" not in str(caught.value)


@pytest.mark.parametrize("compiler", [nvrtc, nvcc])
def test_gpus_that_the_compiler_does_not_know(compiler: Callable[[], Compiler]) -> None:
    with pytest.raises(BackendError, match=r"for sm_999: .*newer compiler") as caught:
        compiler().compile(kernel_source(), "sm_999")
    assert "\n" not in str(caught.value)


def test_kept_by_capability_source_and_compiler(tmp_path: Path, counting: Counting) -> None:
    first = compiled((8, 6), tmp_path)
    assert compiled((8, 6), tmp_path) == first and counting.calls == 1
    assert compiled((12, 0), tmp_path) != first and counting.calls == 2
    assert compiled((8, 6), tmp_path, "other") != first and counting.calls == 3
    counting.name = "counting-1.1"
    compiled((8, 6), tmp_path)
    assert counting.calls == 4
    assert len(list(tmp_path.iterdir())) == 4


def test_what_is_not_a_cubin_is_made_again(tmp_path: Path, counting: Counting) -> None:
    whole = compiled((8, 6), tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"")
    assert compiled((8, 6), tmp_path) == whole == path.read_bytes()


def test_several_at_once(tmp_path: Path, counting: Counting) -> None:
    folder = tmp_path / "new" / "folder"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: compiled((8, 6), folder), range(32)))
    assert len(set(made)) == 1 and [path.suffix for path in folder.iterdir()] == [".cubin"]


def test_folder_that_cannot_be_written_only_warns(
    tmp_path: Path, counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert compiled((8, 6), tmp_path / "file").startswith(ELF)
    assert "are not kept" in caplog.text


def test_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiling.cache_folder() == tmp_path / "ladle-rt" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compiling.cache_folder() == tmp_path / ".cache" / "ladle-rt" / "kernels"


@pytest.fixture
def no_nvrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, extra: str) -> None:
        raise MissingDependencyError(f"{name}: pip install 'ladle-rt[{extra}]'")

    monkeypatch.setattr(compiling, "require", missing)


@pytest.mark.usefixtures("no_nvrtc")
def test_nvcc_where_nvrtc_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin" / "nvcc", "echo 'Cuda compilation tools, release 12.6, V12.6.85'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert compiling.find_compiler().name == "nvcc-12.6"


@pytest.mark.usefixtures("no_nvrtc")
def test_no_compiler_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_HOME", raising=False)
    with pytest.raises(BackendError, match=r"NVRTC or nvcc.*neither on PATH.*ladle-rt\[cuda13\]"):
        compiled((8, 6), tmp_path)


@pytest.mark.usefixtures("no_nvrtc")
@pytest.mark.parametrize(
    ("driver_major", "remedy"),
    [(11, "update the driver"), (12, r"ladle-rt\[cuda12\]"), (13, "")],
)
def test_a_compiler_newer_than_the_driver_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver_major: int, remedy: str
) -> None:
    program(tmp_path / "nvcc", "echo 'Cuda compilation tools, release 13.0, V13.0.88'")
    monkeypatch.setenv("PATH", str(tmp_path))
    if not remedy:
        assert compiling.find_compiler(driver_major).name == "nvcc-13.0"
        return
    words = f"nvcc-13.0 is too new for a driver of CUDA {driver_major}; .*{remedy}"
    with pytest.raises(BackendError, match=words):
        compiling.find_compiler(driver_major)


@pytest.mark.parametrize(
    ("bindings", "wheel"),
    [("12.9.10", "nvidia-cuda-nvrtc-cu12"), ("13.5.0", "'nvidia-cuda-nvrtc==13.*'")],
)
def test_the_wheel_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, bindings: str, wheel: str
) -> None:
    def not_found() -> None:
        raise RuntimeError("Failed to dlopen libnvrtc\nand more")

    fake = SimpleNamespace(nvrtcVersion=not_found)
    monkeypatch.setattr(compiling, "require", lambda name, extra: fake)
    monkeypatch.setattr(compiling.metadata, "version", lambda name: bindings)
    with pytest.raises(BackendError) as caught:
        Nvrtc.load()
    assert str(caught.value).endswith(f"pip install {wheel}") and "and more" not in str(
        caught.value
    )


def test_nvcc_that_does_not_run(tmp_path: Path) -> None:
    broken = program(tmp_path / "nvcc", "echo 'fatal: no libdevice' >&2; exit 1")
    with pytest.raises(BackendError, match="no libdevice"):
        Nvcc.at(str(broken))
    with pytest.raises(BackendError, match="does not run"):
        Nvcc.at(str(tmp_path / "absent"))


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    assert os.access(path, os.X_OK)
    return path
