"""What a compiler makes of the kernels: registers, spills, shared memory, no doubles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ladle_rt.translate.cuda.frame_kernels import KERNELS
from ladle_rt.translate.cuda.kernels import kernel_source

REGISTERS = 65536
"""Of a multiprocessor, on every architecture that is served."""
THREADS = 256
"""Of a block of every kernel."""
LEAST_BLOCKS = 2
"""Of a kernel on one multiprocessor at once, so that one computes while another waits."""
SHARED_BYTES = 65536 // LEAST_BLOCKS
"""Of a block, with the least that a multiprocessor has (7.5)."""
OTHERS = ["sm_75", "sm_80", "sm_87", "sm_89", "sm_90", "sm_110", "sm_120"]


def nvcc(folder: Path, *options: str) -> str:
    tool = shutil.which("nvcc")
    if tool is None:
        pytest.skip("no nvcc on PATH, which tells what kernels take")
    source = folder / "kernels.cu"
    source.write_text(kernel_source(), encoding="utf-8")
    done = subprocess.run(
        [tool, "--std=c++17", *options, str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "architecture",
    ["sm_86", *(pytest.param(one, marks=pytest.mark.slow) for one in OTHERS)],
)
def test_registers_spills_and_shared_memory(tmp_path: Path, architecture: str) -> None:
    told = nvcc(tmp_path, "-cubin", f"-arch={architecture}", "-Xptxas", "-v", "-o", "k.cubin")
    found = set()
    for part in told.split("Compiling entry function '")[1:]:
        name = part.partition("'")[0]
        found.add(name)
        spilled = re.findall(r"(\d+) bytes spill (?:stores|loads)", part)
        assert spilled and set(spilled) == {"0"}, f"{name} spills"
        registers = re.search(r"Used (\d+) registers", part)
        assert registers, part
        assert int(registers[1]) * THREADS * LEAST_BLOCKS <= REGISTERS, name
        shared = re.search(r"(\d+) bytes smem", part)
        assert int(shared[1] if shared else 0) <= SHARED_BYTES, name
    assert found == set(KERNELS)


def test_nothing_is_in_double(tmp_path: Path) -> None:
    """Consumer GPUs do doubles 64 times slower."""
    nvcc(tmp_path, "-ptx", "-arch=compute_75", "-o", "k.ptx")
    text = (tmp_path / "k.ptx").read_text(encoding="utf-8")
    assert ".f32" in text and ".f64" not in text
