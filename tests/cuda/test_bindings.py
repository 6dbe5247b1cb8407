"""Both bindings of the driver: on a GPU, or on a driver that runs kernels on the host."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.cuda.probe import cuda_devices
from ladle_rt.cuda.select import require_binding
from ladle_rt.errors import MissingDependencyError
from ladle_rt.translate.cuda.frame_kernels import KERNELS
from ladle_rt.translate.cuda.kernels import kernel_source

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BINDINGS = ("bindings", "pycuda")
FRAMES = 6
"""In the sequence of `binding_run.py`."""


def run(binding: str, *args: Path, libraries: Path | None = None) -> dict[str, Any]:
    environment = dict(os.environ)
    paths = [str(ROOT), *sys.path]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    if libraries:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    done = subprocess.run(
        [sys.executable, str(HERE / "binding_run.py"), binding, *map(str, args)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "could not be cleaned up" not in done.stderr, "freed in a foreign thread, or never"
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module", params=BINDINGS)
def binding(request: pytest.FixtureRequest) -> str:
    try:
        require_binding(request.param)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    return str(request.param)


@pytest.mark.skipif(not cuda_devices(), reason="no NVIDIA GPU")
def test_on_a_gpu(tiny_model: Path, binding: str) -> None:
    assert run(binding, tiny_model)["largest error"] <= 1


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``libcuda.so.1``: what we call is `fake_libcuda.h`, the rest of what pycuda links is not."""
    for tool in ("g++", "nm"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    folder = tmp_path_factory.mktemp("driver")
    table = ", ".join(f"HOST_KERNEL({name})" for name in KERNELS)
    shim, fake = (f'#include "{HERE / part}"' for part in ("host_shim.h", "fake_libcuda.h"))
    unit, rest = folder / "driver.cpp", folder / "rest.c"
    unit.write_text(f"{shim}\n{kernel_source()}\nHOST_LAUNCHER({table})\n{fake}\n")
    known = (HERE / "fake_libcuda.h").read_text()
    # 801: CUDA_ERROR_NOT_SUPPORTED
    rest.write_text(
        "".join(
            f"int {name}(void) {{ return 801; }}\n"
            for name in sorted(linked_by_pycuda())
            if name.startswith("cu") and f" {name}(" not in known
        )
    )
    subprocess.run(["gcc", "-c", "-fPIC", rest, "-o", folder / "rest.o"], check=True)
    library = folder / "libcuda.so.1"
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run(
        ["g++", *flags, "-Wl,-soname,libcuda.so.1", unit, folder / "rest.o", "-o", library],
        check=True,
    )
    return library


def linked_by_pycuda() -> set[str]:
    """Names that must be there before pycuda can be imported; none where it is not installed."""
    package = importlib.util.find_spec("pycuda")
    if package is None or not package.submodule_search_locations:
        return set()
    (extension,) = Path(package.submodule_search_locations[0]).glob("_driver*.so")
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", extension], capture_output=True, text=True, check=True
    )
    return {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}


@pytest.fixture(scope="module")
def result(tiny_model: Path, driver: Path, binding: str) -> dict[str, Any]:
    return run(binding, tiny_model, driver, libraries=driver.parent)


def test_pictures_are_the_cpus_and_nothing_is_left(result: dict[str, Any]) -> None:
    assert result["largest error"] <= 1
    assert result["left"] == ""


def test_other_threads_do_not_break_a_capture(result: dict[str, Any]) -> None:
    graphs, disturbed = result["graphs"]
    assert result["disturbed"] == [result["largest error"], ""]
    assert graphs > 0 and disturbed == graphs


def test_a_capture_that_another_thread_breaks_leaves_the_pictures_as_they_are(
    result: dict[str, Any],
) -> None:
    assert result["stopped"] == [result["largest error"], ""]
    assert result["eager"] == 0


def test_pictures_are_drawn_into_the_hosts_memory_where_the_gpu_works_in_it(
    result: dict[str, Any],
) -> None:
    largest, copied, left, said, left_after = result["integrated"]
    assert largest == result["largest error"] and left == ""
    assert copied == FRAMES, "levels alone, once a frame"
    assert said.startswith("cuMemHostGetDevicePointer failed on the GPU: ")
    assert "use a smaller --size" in said
    assert left_after == ""


def test_a_graph_whose_memory_is_gone_is_found(result: dict[str, Any]) -> None:
    said, left = result["freed"]
    assert "cuGraphLaunch" in said and left == ""


def test_calls_that_fail(result: dict[str, Any], binding: str) -> None:
    unused = "cuModuleLoadData" if binding == "pycuda" else "cuModuleLoadDataEx"
    for call, (said, left) in result["failures"].items():
        assert left == "", f"{call}: {left}"
        # Without graphs it goes on.
        unharmed = ("cuStreamBeginCapture", "cuGraphInstantiate", "cuGraphLaunch", unused)
        assert bool(said) != (call in unharmed), call
        if said:
            assert call[:12] in said and "failed on the GPU" in said and "\n" not in said
    assert "smaller --size" in result["failures"]["cuMemAlloc"][0]
    assert "start it again" in result["failures"]["cuEventSynchronize"][0]


def test_drivers_and_the_libraries_that_they_can_follow(result: dict[str, Any]) -> None:
    newest = int(metadata.version("cuda-bindings").partition(".")[0])
    for version, (said, left) in result["drivers"].items():
        assert left == ""
        if int(version) // 1000 >= newest:
            assert said == ""
        else:
            assert "too new for a driver of CUDA 12." in said
            assert "pip install 'ladle-rt[cuda12]' or update the driver" in said


def test_kernels_of_a_later_cuda_are_refused(result: dict[str, Any]) -> None:
    said, left = result["foreign"]
    assert "cuModuleLoadData" in said and "update the driver" in said and left == ""
