"""What a compiler makes of the kernels: registers, spills, shared memory, no doubles.

The kernels that ship tell it themselves, for every card; what spilled is in the record of their
compilation. nvcc, where it is, is asked as well.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cubin_resources import read_resources

from ladle_rt.cuda.compile import digest
from ladle_rt.translate.cuda.frame_kernels import KERNELS
from ladle_rt.translate.cuda.kernels import SHIPPED, kernel_source, shipped_cubin

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "benchmarks" / "results" / "kernel_cubins.json"
ROWS = json.loads(RECORD.read_text(encoding="utf-8"))["results"]
AGAIN = "the kernels changed: see `benchmarks/kernel_cubins.py`"

REGISTERS = 65536
"""Of a multiprocessor, on every architecture that is served."""
THREADS = 256
"""Of a block of every kernel."""
LEAST_BLOCKS = 2
"""Of a kernel on one multiprocessor at once, so that one computes while another waits."""
SHARED_BYTES = 65536 // LEAST_BLOCKS
"""Of a block, with the least that a multiprocessor has (7.5)."""
FRAME_BYTES = 16
"""Of a thread: four numbers that are chosen among at run time. Spills would come on top."""
RESERVED_BYTES = 1024
"""That the system takes of a block's shared memory from 9.0 on."""
OTHERS = ["sm_75", "sm_80", "sm_87", "sm_89", "sm_90", "sm_110", "sm_120"]


@pytest.mark.parametrize("architecture", SHIPPED)
def test_the_kernels_that_ship_leave_room(architecture: str) -> None:
    cubin = shipped_cubin(kernel_source(), architecture)
    assert cubin is not None, AGAIN
    found = read_resources(cubin)
    assert set(found) == set(KERNELS)
    reserved = RESERVED_BYTES if int(architecture[3:]) >= 90 else 0
    for name, taken in found.items():
        assert 0 < taken.registers * THREADS * LEAST_BLOCKS <= REGISTERS, name
        assert taken.shared_bytes <= SHARED_BYTES, name
        assert taken.frame_bytes <= FRAME_BYTES, f"{name} spills"
    row = ROWS[architecture]
    assert row["source"] == digest(kernel_source()), AGAIN
    assert row["spilled"] == 0
    assert row["kernels"] == len(found)
    assert row["registers"] == max(taken.registers for taken in found.values())
    assert row["shared"] + reserved == max(taken.shared_bytes for taken in found.values())


def test_what_a_cubin_says_is_read() -> None:
    """Of eight architectures, one kernel with a frame and one with shared memory."""
    cubins = {name: shipped_cubin(kernel_source(), name) for name in SHIPPED}
    found = {name: read_resources(cubin) for name, cubin in cubins.items() if cubin}
    assert set(found) == set(ROWS) == set(SHIPPED)
    assert {found["sm_86"][name].frame_bytes for name in KERNELS} == {0, FRAME_BYTES}
    assert found["sm_86"]["to_planes_f16"].shared_bytes == 0
    registers = {tuple(one.registers for one in kernels.values()) for kernels in found.values()}
    assert len(registers) > 1


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
