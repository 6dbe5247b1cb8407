"""Compiles ``kernels.cu`` for a GPU: by NVRTC, else by nvcc; the result is kept for next time.

The cubin lies in the user's cache folder under compute capability, compiler and a hash of the
source, so that whatever changes leads to another file. Compiling needs no GPU.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import platformdirs

from ladle_rt.errors import BackendError, MissingDependencyError, require
from ladle_rt.files import write_whole

logger = logging.getLogger("ladle_rt")

STANDARD = "--std=c++17"
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


def kernel_source() -> str:
    """The text of ``kernels.cu``."""
    return (resources.files(__package__) / "kernels.cu").read_text(encoding="utf-8")


def cubin(capability: tuple[int, int], folder: Path | None = None) -> bytes:
    """The kernels compiled for a GPU, from the cache or made now.

    Args:
        capability: the GPU's compute capability, for example ``(8, 6)``.
        folder: where compiled kernels are kept; ``None``: `cache_folder`.

    Raises:
        BackendError: no compiler here, or it refused.
    """
    source, architecture = kernel_source(), f"sm_{capability[0]}{capability[1]}"
    compiler = find_compiler()
    digest = hashlib.sha256(f"{STANDARD}\n{source}".encode()).hexdigest()[:16]
    path = (folder or cache_folder()) / f"{architecture}-{compiler.name}-{digest}.cubin"
    kept = _read(path)
    if kept is not None:
        return kept
    logger.info("compiling the CUDA kernels for %s with %s", architecture, compiler.name)
    made = compiler.compile(source, architecture)
    _keep(path, made)
    return made


def cache_folder() -> Path:
    """``kernels`` in the user's cache of this program; ``~/.cache/ladle-rt`` on Linux."""
    return platformdirs.user_cache_path("ladle-rt", appauthor=False) / "kernels"


def find_compiler() -> Compiler:
    """NVRTC where it can be loaded, else nvcc on PATH or under ``CUDA_HOME``.

    Raises:
        BackendError: neither is here.
    """
    try:
        return Nvrtc.load()
    except (MissingDependencyError, BackendError) as error:
        nvcc = shutil.which("nvcc") or shutil.which("nvcc", path=_cuda_home_bin())
        if nvcc is None:
            raise BackendError(
                f"the CUDA kernels need NVRTC or nvcc to be compiled, found neither ({error}); "
                "or put nvcc on PATH"
            ) from error
        return Nvcc.at(nvcc)


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
        nvrtc = require("cuda.bindings.nvrtc", "tensorrt")
        try:
            status, major, minor = nvrtc.nvrtcVersion()
        except Exception as error:
            # The binding loads the library at the first call; what it raises differs by version.
            raise BackendError(
                f"cuda.bindings cannot load NVRTC ({str(error).partition(chr(10))[0]}); "
                "run: pip install nvidia-cuda-nvrtc"
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


def first_error(log: str) -> str:
    """The first line of a compiler's log that speaks of an error, else its first line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(error|fatal)\b", line, re.IGNORECASE)]
    return (errors or lines or ["no message"])[0]


def _refused(name: str, architecture: str, log: str) -> BackendError:
    return BackendError(
        f"{name} cannot compile the CUDA kernels for {architecture}: {first_error(log)}; "
        "a newer GPU needs a newer compiler: pip install -U nvidia-cuda-nvrtc"
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


def _keep(path: Path, made: bytes) -> None:
    """Store a cubin whole or not at all; a folder that cannot be written only costs time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda part: part.write_bytes(made))
    except OSError as error:
        logger.warning("compiled CUDA kernels are not kept in %s (%s)", path.parent, error)
