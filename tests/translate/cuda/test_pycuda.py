"""The real pycuda and cuda.bindings: on a GPU, or on a driver that runs kernels on the host."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.device import cuda_devices
from ladle_rt.translate.cuda.frame_kernels import KERNELS

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOURCE = ROOT / "ladle_rt" / "translate" / "cuda" / "kernels.cu"
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("pycuda", "cuda")),
    reason="pycuda and cuda-bindings are not installed (extra cuda)",
)


def run(*args: Path, libraries: Path | None = None) -> dict[str, Any]:
    environment = dict(os.environ)
    paths = [str(ROOT), *sys.path]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    if libraries:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    done = subprocess.run(
        [sys.executable, str(HERE / "pycuda_way.py"), *map(str, args)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "could not be cleaned up" not in done.stderr, "freed in a foreign thread, or never"
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.skipif(not cuda_devices(), reason="no NVIDIA GPU")
def test_on_a_gpu(tiny_model: Path) -> None:
    assert run(tiny_model)["largest error"] <= 1


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """``libcuda.so.1``: what we call is `fake_libcuda.h`, the rest of what pycuda links is not."""
    for tool in ("g++", "nm"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    table = ", ".join(f"HOST_KERNEL({name})" for name in KERNELS)
    parts = [HERE / "host_shim.h", SOURCE, HERE / "fake_libcuda.h"]
    shim, source, fake = (f'#include "{part}"' for part in parts)
    unit, rest = tmp_path / "driver.cpp", tmp_path / "rest.c"
    unit.write_text(f"{shim}\n{source}\nHOST_LAUNCHER({table})\n{fake}\n")
    known = (HERE / "fake_libcuda.h").read_text()
    package = importlib.util.find_spec("pycuda")
    assert package is not None and package.submodule_search_locations
    (binding,) = Path(package.submodule_search_locations[0]).glob("_driver*.so")
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", binding], capture_output=True, text=True, check=True
    )
    names = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
    # 801: CUDA_ERROR_NOT_SUPPORTED
    rest.write_text(
        "".join(
            f"int {name}(void) {{ return 801; }}\n"
            for name in sorted(names)
            if name.startswith("cu") and f" {name}(" not in known
        )
    )
    subprocess.run(["gcc", "-c", "-fPIC", rest, "-o", tmp_path / "rest.o"], check=True)
    library = tmp_path / "libcuda.so.1"
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run(
        ["g++", *flags, "-Wl,-soname,libcuda.so.1", unit, tmp_path / "rest.o", "-o", library],
        check=True,
    )
    return library


def test_on_a_driver_without_a_gpu(tiny_model: Path, driver: Path) -> None:
    result = run(tiny_model, driver, libraries=driver.parent)
    assert result["largest error"] <= 1
    assert result["left"] == ""
    for call, (said, left) in result["failures"].items():
        assert left == "", f"{call}: {left}"
        # Without graphs it goes on.
        assert bool(said) != (call in ("cuStreamBeginCapture", "cuGraphInstantiate")), call
        if said:
            assert call[:12] in said and "failed on the GPU" in said and "\n" not in said
    assert "out of memory; use a smaller --size" in result["failures"]["cuMemAlloc"][0]
    assert "illegal memory access" in result["failures"]["cuEventSynchronize"][0]
