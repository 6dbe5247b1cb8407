"""What compilers make of the frame kernels, card by card: registers, shared memory, bytes.

    python benchmarks/kernel_cubins.py [--arch sm_75,sm_86] [--ship]
        [--output benchmarks/results/kernel_cubins.json]

Needs the extra `cuda12` or `cuda13`, no GPU. `--ship` writes the cubins of common cards that the
package carries; for that CUDA 12, whose cubins every driver from 12 on loads.
"""

from __future__ import annotations

import argparse
import lzma
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from helpers import write_result

from ladle_rt.cuda.compile import STANDARD, major_of
from ladle_rt.translate.cuda.kernels import kernel_source, shipped_name

FOLDER = Path(__file__).parents[1] / "ladle_rt" / "translate" / "cuda" / "cubins"
SHIPPED = ("sm_75", "sm_86", "sm_87", "sm_89", "sm_120")
"""RTX 20 to 50 and Jetson Orin."""
ENTRY = "Compiling entry function '"


@dataclass(frozen=True, slots=True)
class KernelResources:
    """Of one kernel."""

    registers: int
    """Of a thread."""
    spilled: int
    """Bytes of registers that a thread has to keep in memory."""
    shared: int
    """Bytes of a block."""


def compile_with_report(source: str, architecture: str) -> tuple[bytes, dict[str, KernelResources]]:
    """A cubin by NVRTC, and what its kernels take by their names.

    Raises:
        RuntimeError: the compiler refused.
    """
    from cuda.bindings import nvrtc

    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernels.cu", 0, None, None)
    options = [f"--gpu-architecture={architecture}", STANDARD, "--ptxas-options=-v"]
    nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
    log = bytes(nvrtc.nvrtcGetProgramLogSize(program)[1])
    nvrtc.nvrtcGetProgramLog(program, log)
    status, size = nvrtc.nvrtcGetCUBINSize(program)
    cubin = bytes(size)
    nvrtc.nvrtcGetCUBIN(program, cubin)
    text = log.rstrip(b"\0").decode(errors="replace")
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS or not cubin:
        raise RuntimeError(text)
    return cubin, {name: resources for name, resources in map(_read, text.split(ENTRY)[1:])}


def _read(part: str) -> tuple[str, KernelResources]:
    def number(pattern: str) -> int:
        return max(map(int, re.findall(pattern, part)), default=0)

    spilled = r"(\d+) bytes spill (?:stores|loads)"
    return part.partition("'")[0], KernelResources(
        number(r"Used (\d+) registers"), number(spilled), number(r"(\d+) bytes smem")
    )


def main() -> None:
    """Compile, print a line each, ship and record where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    every = [f"sm_{name}" for name in ("75", "80", "86", "87", "89", "90", "100", "120")]
    parser.add_argument("--arch", default=",".join(every))
    parser.add_argument("--ship", action="store_true", help="write what the package carries")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    from cuda.bindings import nvrtc

    _, major, minor = nvrtc.nvrtcVersion()
    compiler = f"nvrtc-{major}.{minor}"
    if arguments.ship and major_of(compiler) != 12:
        parser.error(f"--ship needs NVRTC 12, received {compiler}: pip install 'ladle-rt[cuda12]'")
    source, results = kernel_source(), {}
    for architecture in arguments.arch.split(","):
        start = time.process_time()
        cubin, kernels = compile_with_report(source, architecture)
        packed = lzma.compress(cubin, preset=9 | lzma.PRESET_EXTREME)
        most: dict[str, Any] = {
            key: max(asdict(kernel)[key] for kernel in kernels.values())
            for key in ("registers", "spilled", "shared")
        }
        results[architecture] = {
            "kernels": len(kernels),
            **most,
            "bytes": len(cubin),
            "xz_bytes": len(packed),
            "cpu_s": round(time.process_time() - start, 1),
        }
        print(architecture, results[architecture], flush=True)
        if arguments.ship and architecture in SHIPPED:
            for old in FOLDER.glob(f"{architecture}-*"):
                old.unlink()
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / shipped_name(source, architecture)).write_bytes(packed)
    if arguments.output:
        write_result(arguments.output, "kernel_cubins", {"compiler": compiler}, results)


if __name__ == "__main__":
    main()
