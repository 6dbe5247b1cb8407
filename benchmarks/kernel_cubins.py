"""What compilers make of the frame kernels, card by card: registers, shared memory, bytes.

    python benchmarks/kernel_cubins.py [--arch sm_75,sm_86] [--ship]
        [--output benchmarks/results/kernel_cubins.json]

Needs no GPU. `--ship` renews the cubins that the package carries, which every change of the
kernels or of their constants makes necessary. A card is compiled for by one CUDA (`SHIPPED` says by
which), so that it takes two runs, one with the extra `cuda12` and one with `cuda13`; the second
adds to the file of the first.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from helpers import write_result

from ladle_rt.cuda.compile import STANDARD, digest, major_of
from ladle_rt.translate.cuda.kernels import SHIPPED, kernel_source, shipped_name

FOLDER = Path(__file__).parents[1] / "ladle_rt" / "translate" / "cuda" / "cubins"
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


def measure(source: str, architecture: str, ship: bool) -> dict[str, Any]:
    """Compile for a card; where asked the package carries the result."""
    start = time.process_time()
    cubin, kernels = compile_with_report(source, architecture)
    packed = lzma.compress(cubin, preset=9 | lzma.PRESET_EXTREME)
    most = {
        key: max(asdict(kernel)[key] for kernel in kernels.values())
        for key in ("registers", "spilled", "shared")
    }
    if ship:
        for old in FOLDER.glob(f"{architecture}-*"):
            old.unlink()
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / shipped_name(source, architecture)).write_bytes(packed)
    return {
        "kernels": len(kernels),
        **most,
        "bytes": len(cubin),
        "xz_bytes": len(packed),
        "cpu_s": round(time.process_time() - start, 1),
        "source": digest(source),
    }


def main() -> None:
    """Compile, print a line each, ship and record where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", help="those of this CUDA in `SHIPPED`", metavar="sm_75,sm_86")
    parser.add_argument("--ship", action="store_true", help="write what the package carries")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    from cuda.bindings import nvrtc

    _, major, minor = nvrtc.nvrtcVersion()
    compiler = f"nvrtc-{major}.{minor}"
    ours = [name for name, by in SHIPPED.items() if by == major_of(compiler)]
    wanted = arguments.arch.split(",") if arguments.arch else ours
    others = [name for name in wanted if name not in ours]
    if arguments.ship and others:
        parser.error(f"--ship: {compiler} is not to compile for {', '.join(others)}, see SHIPPED")
    source = kernel_source()
    results, output = {}, arguments.output
    if output and output.is_file():
        recorded = json.loads(output.read_text(encoding="utf-8"))["results"]
        results = {name: row for name, row in recorded.items() if row["source"] == digest(source)}
    for architecture in wanted:
        row = {"compiler": compiler} | measure(source, architecture, arguments.ship)
        print(architecture, row, flush=True)
        results[architecture] = row
    if output:
        write_result(output, "kernel_cubins", {"ships": SHIPPED}, results)


if __name__ == "__main__":
    main()
