"""pycuda for the tests of its binding, without a CUDA toolkit: it has no wheel, so this makes one.

    python tests/cuda/build_pycuda.py FOLDER

Needs g++, Python's headers and ``cuda.h``, which torch's wheels for CUDA bring. The wheel is linked
to no driver: it takes the one that is loaded before it, here a fake one. It is for these tests
alone: without curand, and nothing in it is optimised.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

VERSION = "2026.1"
PROFILER = """
#pragma once
#include <cuda.h>
typedef enum CUoutput_mode_enum { CU_OUT_KEY_VALUE_PAIR = 0, CU_OUT_CSV = 1 } CUoutput_mode;
extern "C" {
CUresult cuProfilerInitialize(const char*, const char*, CUoutput_mode);
CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);
}
"""
"""The one header that no wheel has; CUDA 13 has no longer all of it."""


def headers() -> Path:
    """The folder of a wheel's ``cuda.h``."""
    spec = find_spec("nvidia")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    found = [path.parent for folder in folders for path in folder.glob("*/include/cuda.h")]
    if not found:
        raise SystemExit("no cuda.h among the wheels: pip install nvidia-cuda-runtime")
    return found[0]


def main() -> None:
    """Fetch, configure, build."""
    pip, target = [sys.executable, "-m", "pip"], Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fetch = ["download", "-q", "--no-deps", "--no-binary", "pycuda", f"pycuda=={VERSION}"]
        subprocess.run([*pip, *fetch, "-d", folder], check=True)
        with tarfile.open(folder / f"pycuda-{VERSION}.tar.gz") as packed:
            packed.extractall(folder, filter="data")
        include, source = folder / "include", folder / f"pycuda-{VERSION}"
        include.mkdir()
        (include / "cudaProfiler.h").write_text(PROFILER, encoding="utf-8")
        settings = {
            "USE_SHIPPED_BOOST": True,
            "CUDA_INC_DIR": [str(include), str(headers())],
            "CUDA_ENABLE_CURAND": False,
            "CUDADRV_LIB_DIR": [],
            "CUDADRV_LIBNAME": [],
            "CXXFLAGS": ["-O0", "-g0", "-w"],
        }
        lines = (f"{name} = {value!r}\n" for name, value in settings.items())
        (source / "siteconf.py").write_text("".join(lines), encoding="utf-8")
        subprocess.run([*pip, "wheel", "-q", "--no-deps", source, "-w", target], check=True)


if __name__ == "__main__":
    main()
