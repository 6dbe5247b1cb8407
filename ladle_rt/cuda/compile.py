"""Compiles CUDA C++ for a GPU: by NVRTC, else by nvcc; the result is kept for next time.

The cubin lies in the user's cache folder under compute capability, compiler and a hash of the
source, so that whatever changes leads to another file. Compiling needs no GPU. A driver loads no
cubin of a compiler whose major version is later than its own.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import platformdirs

from ladle_rt.errors import BackendError, MissingDependencyError, require
from ladle_rt.files import write_whole

logger = logging.getLogger("ladle_rt")

STANDARD = "--std=c++17"
OLDEST_CUDA, NEWEST_CUDA = 12, 13
"""Major versions that this package has an extra for: ``cuda12`` and ``cuda13``."""
NVCC_LIMIT_S = 600.0
"""Longest wait for nvcc; it takes seconds."""

_CUBIN_MAGIC = b"\x7fELF"


class Compiler(Protocol):
    """A CUDA compiler on this machine."""

    @property
    def name(self) -> str:
        """Name and version, fit for a file name: ``nvrtc-13.0``."""

    def compile(self, source: str, architecture: str) -> bytes:
        """Source to cubin.

        Args:
            source: CUDA C++.
            architecture: for example ``sm_86``.

        Raises:
            BackendError: the compiler refused; with the first error of its log.
        """


def cubin(
    source: str,
    capability: tuple[int, int],
    driver_major: int | None = None,
    folder: Path | None = None,
) -> bytes:
    """Kernels compiled for a GPU, from the cache or made now.

    Args:
        source: CUDA C++.
        capability: the GPU's compute capability, for example ``(8, 6)``.
        driver_major: see `find_compiler`.
        folder: where compiled kernels are kept; ``None``: `cache_folder`.

    Raises:
        BackendError: no compiler here that the driver can follow, or it refused.
    """
    architecture = f"sm_{capability[0]}{capability[1]}"
    compiler = find_compiler(driver_major)
    path = (folder or cache_folder()) / f"{architecture}-{compiler.name}-{digest(source)}.cubin"
    kept = _read(path)
    if kept is not None:
        return kept
    logger.info("compiling the CUDA kernels for %s with %s", architecture, compiler.name)
    made = compiler.compile(source, architecture)
    keep(path, made)
    return made


def digest(source: str) -> str:
    """Of a source and how it is compiled, for file names."""
    return hashlib.sha256(f"{STANDARD}\n{source}".encode()).hexdigest()[:16]


def cache_folder() -> Path:
    """``kernels`` in the user's cache of this program; ``~/.cache/ladle-rt`` on Linux."""
    return platformdirs.user_cache_path("ladle-rt", appauthor=False) / "kernels"


def find_compiler(driver_major: int | None = None) -> Compiler:
    """NVRTC where it can be loaded, else nvcc on PATH or under ``CUDA_HOME``.

    Args:
        driver_major: CUDA's major version that the driver serves; a later compiler is passed
            over. ``None``: any, to compile for another machine.

    Raises:
        BackendError: neither is here, or only too new ones.
    """
    loaders: tuple[Callable[[], Compiler], ...] = (Nvrtc.load, Nvcc.find)
    reasons = []
    for load in loaders:
        try:
            compiler = load()
        except (MissingDependencyError, BackendError) as error:
            reasons.append(str(error).partition("; ")[0])
            continue
        if driver_major is None or major_of(compiler.name) <= driver_major:
            return compiler
        reasons.append(f"{compiler.name} is too new for a driver of CUDA {driver_major}")
    raise BackendError(
        f"the CUDA kernels need NVRTC or nvcc to be compiled: {'; '.join(reasons)}; "
        f"{remedy(driver_major)}"
    )


def remedy(driver_major: int | None) -> str:
    """What to type so that compiler and driver fit; ``None``: any driver."""
    if driver_major is not None and driver_major < OLDEST_CUDA:
        return f"update the driver: it must serve CUDA {OLDEST_CUDA} or later"
    extra = f"cuda{min(driver_major or NEWEST_CUDA, NEWEST_CUDA)}"
    return f"run: pip install 'ladle-rt[{extra}]'"


def major_of(name: str) -> int:
    """13 of ``nvrtc-13.0``."""
    return int(name.rpartition("-")[2].partition(".")[0])


@dataclass(frozen=True, slots=True)
class Nvrtc:
    """NVIDIA's compiler as a library, through ``cuda.bindings``."""

    name: str
    _nvrtc: Any

    @classmethod
    def load(cls) -> Nvrtc:
        """Load the library and ask for its version.

        Raises:
            MissingDependencyError: ``cuda.bindings`` is not installed.
            BackendError: it is, but finds no NVRTC library.
        """
        nvrtc = require("cuda.bindings.nvrtc", f"cuda{NEWEST_CUDA}")
        try:
            status, major, minor = nvrtc.nvrtcVersion()
        except Exception as error:
            # The binding loads the library at the first call; what it raises differs by version.
            raise BackendError(
                f"cuda.bindings cannot load NVRTC ({str(error).partition(chr(10))[0]}); "
                f"run: pip install {_nvrtc_wheel()}"
            ) from error
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise BackendError(f"NVRTC does not tell its version ({status.name}); reinstall it")
        return cls(f"nvrtc-{major}.{minor}", nvrtc)

    def compile(self, source: str, architecture: str) -> bytes:
        """See `Compiler.compile`."""
        nvrtc = self._nvrtc
        program = self._call("nvrtcCreateProgram", source.encode(), b"kernels.cu", 0, None, None)
        try:
            options = [f"--gpu-architecture={architecture}".encode(), STANDARD.encode()]
            (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
            if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
                # The binding writes into these bytes.
                log = bytes(self._call("nvrtcGetProgramLogSize", program))
                self._call("nvrtcGetProgramLog", program, log)
                text = log.rstrip(b"\0 ").decode(errors="replace") or status.name
                raise _refused(self.name, architecture, text)
            binary = bytes(self._call("nvrtcGetCUBINSize", program))
            self._call("nvrtcGetCUBIN", program, binary)
            return binary
        finally:
            nvrtc.nvrtcDestroyProgram(program)

    def _call(self, function: str, *args: Any) -> Any:
        status, *values = getattr(self._nvrtc, function)(*args)
        if status != self._nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise BackendError(f"{self.name}: {function} failed with {status.name}")
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Nvcc:
    """NVIDIA's compiler as a program."""

    name: str
    _path: str

    @classmethod
    def find(cls) -> Nvcc:
        """The one on PATH, else under ``CUDA_HOME``.

        Raises:
            BackendError: there is none, or it does not answer.
        """
        path = shutil.which("nvcc") or shutil.which("nvcc", path=_cuda_home_bin())
        if path is None:
            raise BackendError("nvcc is neither on PATH nor under CUDA_HOME")
        return cls.at(path)

    @classmethod
    def at(cls, path: str) -> Nvcc:
        """Ask the program at a path for its version.

        Raises:
            BackendError: it does not answer like nvcc.
        """
        answer = _run([path, "--version"])
        version = re.search(r"release ([\d.]+)", answer.stdout)
        if answer.returncode or version is None:
            raise BackendError(
                f"{path} --version: expected nvcc's version, received "
                f"{first_error(answer.stderr or answer.stdout)!r}; repair the CUDA toolkit"
            )
        return cls(f"nvcc-{version[1]}", path)

    def compile(self, source: str, architecture: str) -> bytes:
        """See `Compiler.compile`."""
        with tempfile.TemporaryDirectory(prefix="ladle-rt-") as folder:
            given, made = Path(folder) / "kernels.cu", Path(folder) / "kernels.cubin"
            given.write_text(source, encoding="utf-8")
            options = ["-cubin", f"-arch={architecture}", STANDARD, "-o", str(made)]
            answer = _run([self._path, *options, str(given)])
            if answer.returncode:
                raise _refused(self.name, architecture, answer.stderr + answer.stdout)
            return made.read_bytes()


def keep(path: Path, made: bytes) -> None:
    """Store what was compiled whole or not at all; an unwritable folder only costs time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda part: part.write_bytes(made))
    except OSError as error:
        logger.warning("compiled CUDA kernels are not kept in %s (%s)", path.parent, error)


def first_error(log: str) -> str:
    """The first line of a compiler's log that speaks of an error, else its first line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(error|fatal)\b", line, re.IGNORECASE)]
    return (errors or lines or ["no message"])[0]


def _nvrtc_wheel() -> str:
    """The package whose NVRTC the installed cuda.bindings loads: that of its own major version."""
    try:
        major = int(metadata.version("cuda-bindings").partition(".")[0])
    except metadata.PackageNotFoundError:
        major = NEWEST_CUDA
    return "nvidia-cuda-nvrtc-cu12" if major == 12 else f"'nvidia-cuda-nvrtc=={major}.*'"


def _refused(name: str, architecture: str, log: str) -> BackendError:
    return BackendError(
        f"{name} cannot compile the CUDA kernels for {architecture}: {first_error(log)}; "
        f"a newer GPU needs a newer compiler: pip install -U {_nvrtc_wheel()}"
    )


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=NVCC_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"{command[0]} does not run ({error}); repair the CUDA toolkit") from (
            error
        )


def _cuda_home_bin() -> str:
    home = os.environ.get("CUDA_HOME")
    return os.path.join(home, "bin") if home else ""


def _read(path: Path) -> bytes | None:
    """A kept cubin; ``None`` where there is none or it is not whole."""
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    return kept if kept.startswith(_CUBIN_MAGIC) else None
