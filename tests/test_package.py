"""What the package promises before anything runs."""

from __future__ import annotations

import ast
import importlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import ladle_rt
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact, shipped_models

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def names(requirements: list[str]) -> set[str]:
    return {Requirement(requirement).name for requirement in requirements}


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {
        pin.name: Version(str(pin.specifier).removeprefix("=="))
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def test_public_names_are_sorted_and_exist() -> None:
    assert ladle_rt.__all__ == sorted(ladle_rt.__all__)
    assert all(hasattr(ladle_rt, name) for name in ladle_rt.__all__)
    assert (ROOT / "ladle_rt" / "py.typed").is_file()


def test_every_module_says_what_it_is() -> None:
    for path in (ROOT / "ladle_rt").rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_running_needs_no_torch() -> None:
    core = {
        "aiohttp",
        "av",
        "cattrs",
        "click",
        "filelock",
        "numpy",
        "onnxruntime",
        "opencv-python-headless",
        "pillow",
        "platformdirs",
        "prometheus-client",
        "psutil",
        "rich",
        "tomli",
    }
    assert names(PROJECT["dependencies"]) == core


def test_development_needs_no_gpu_library() -> None:
    optional = {
        "cuda12",
        "cuda13",
        "docs",
        "engines",
        "jetson",
        "openvino",
        "peers",
        "perceptual",
        "pycuda",
        "report",
        "rtx",
        "scale",
        "tensorrt",
        "torch-tensorrt",
        "train",
        "triton",
        "window",
    }
    assert set(EXTRAS) == {"dev", *optional}
    every = names(EXTRAS["dev"]) | names(EXTRAS["train"]) | names(EXTRAS["openvino"])
    # TensorRT-RTX is there because it parses and builds without a GPU.
    assert not every & {"tensorrt", "torch-tensorrt", "pycuda"}
    assert EXTRAS["dev"][0] == "ladle-rt[docs,openvino,perceptual,report,train,triton,window]"


@pytest.mark.parametrize(
    "extra", [None, "docs", "engines", "perceptual", "train", "openvino", "triton", "window", "dev"]
)
def test_what_ci_installs_is_pinned_within_the_ranges(extra: str | None) -> None:
    pins = constraints()
    for line in PROJECT["dependencies"] if extra is None else EXTRAS[extra]:
        wanted = Requirement(line)
        needed_here = wanted.marker is None or wanted.marker.evaluate()
        if needed_here and wanted.name != "ladle-rt":
            assert pins[wanted.name] in wanted.specifier, line


def test_cuda_comes_in_wheels_of_one_major_version_each() -> None:
    """pycuda has none, and libraries of two majors do not work together."""
    for extra, major in (("cuda12", 12), ("cuda13", 13)):
        bindings, nvrtc = (Requirement(line) for line in EXTRAS[extra][:2])
        assert bindings.name == "cuda-bindings" and nvrtc.name.startswith("nvidia-cuda-nvrtc")
        assert bindings.specifier.contains(f"{major}.99")
        assert not any(
            bindings.specifier.contains(f"{other}.9") for other in (major - 1, major + 1)
        )
    assert "pycuda" not in names([line for extra in ("rtx", "tensorrt") for line in EXTRAS[extra]])
    # JetPack brings TensorRT, and an OpenCV with GStreamer that one of pip's would hide.
    assert not {"tensorrt", "opencv-python", "opencv-python-headless"} & names(EXTRAS["jetson"])


def test_an_opencv_that_pip_did_not_install_is_enough(tmp_path: Path) -> None:
    """JetPack's has no metadata: the package may only import it."""
    site = Path(importlib.import_module("cv2").__file__ or "").parents[1]
    for entry in site.iterdir():
        if not entry.name.startswith("opencv_python") or not entry.name.endswith(".dist-info"):
            (tmp_path / entry.name).symlink_to(entry)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    code = (
        "from importlib import metadata\n"
        "import cv2, numpy, ladle_rt\n"
        "assert not [one for one in metadata.distributions() if 'opencv' in one.name]\n"
        "with ladle_rt.load(threads=1) as translate:\n"
        "    print(translate(numpy.zeros((64, 96), numpy.uint8)).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "(64, 96, 3)\n", done.stderr[-1000:]


TARGETS = {
    "cuda12": ("x86_64-manylinux_2_28", "3.12"),
    "rtx": ("x86_64-manylinux_2_28", "3.12"),
    "jetson": ("aarch64-manylinux_2_35", "3.10"),
}
"""Where each extra is for: a driver alone (`rtx` holds `cuda13`), and JetPack 6."""


def resolver() -> str:
    """``uv``, from the extra ``dev`` or PATH."""
    uv = shutil.which("uv")
    if uv is not None:
        return uv
    found = pytest.importorskip("uv", reason="uv is not installed (extra dev)")
    return str(found.find_uv_bin())


def pips_index() -> dict[str, str]:
    """The index and certificates that pip is configured with, as uv reads them."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    ).stdout
    names = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
    found = {}
    for line in told.splitlines():
        key, _, value = line.partition("=")
        name = names.get(key.rpartition(".")[2].strip("'"))
        if name:
            found[name] = value.strip("'")
    return found


@pytest.mark.parametrize("extra", list(TARGETS))
def test_extras_resolve_to_wheels_on_their_machines(extra: str, tmp_path: Path) -> None:
    """By a resolver that evaluates markers for the target, not for this machine."""
    uv = resolver()
    platform, python = TARGETS[extra]
    command = [uv, "pip", "compile", str(ROOT / "pyproject.toml"), "--extra", extra]
    command += ["--python-platform", platform, "--python-version", python]
    command += ["--no-python-downloads", "--only-binary", ":all:", "-o", "all.txt"]
    # TensorRT's own packages are sdists that fetch the wheels from NVIDIA.
    for sdist in ("tensorrt-rtx", "tensorrt-rtx-cu13"):
        command += ["--no-binary", sdist]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**pips_index(), **os.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    unreachable = ("error sending request", "Failed to fetch", "client error")
    if done.returncode and any(words in done.stderr for words in unreachable):
        pytest.skip(f"no package index answers: {done.stderr.strip().splitlines()[-1][:200]}")
    assert done.returncode == 0, done.stderr[-1000:]
    found = (tmp_path / "all.txt").read_text()
    assert "cuda-bindings==" + ("13" if extra == "rtx" else "12") in found


def test_wheels_that_share_cv2_are_of_one_version() -> None:
    """They overwrite each other's files; a mixture of two versions would not load."""
    assert len({version(name) for name in packages_distributions().get("cv2", [])}) <= 1


def test_the_console_script_is_callable() -> None:
    module, _, function = PROJECT["scripts"]["ladle-rt"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_version_is_in_the_changelog() -> None:
    assert PROJECT["dynamic"] == ["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {ladle_rt.__version__}" in changes.splitlines()
    assert "(CHANGELOG.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_terms_of_code_and_weights_travel_with_the_package() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License\n" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    terms = Path("ladle_rt", "weights", "TERMS.md")
    assert PROJECT["license-files"] == ["LICENSE", terms.as_posix()]
    assert (ROOT / terms).is_file()
    assert all(path.with_suffix(".md").is_file() for path in shipped_models().values())


def test_the_cuda_kernels_are_in_the_wheel_as_source_and_compiled() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["ladle_rt"]
    package = ROOT / "ladle_rt"
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    for suffix in (".cu", ".xz"):
        here = set((package / "translate" / "cuda").rglob(f"*{suffix}"))
        assert here and here <= packed


def test_the_default_model_ships_with_its_card() -> None:
    path = shipped_models()[DEFAULT_MODEL]
    info = load_artifact().info
    assert info.name == DEFAULT_MODEL and info.train_size == (192, 256)
    assert path.stat().st_size < 10e6
    assert path.with_suffix(".md").is_file()
    assert not path.is_relative_to(ROOT) or path.with_suffix(".safetensors").is_file()
    assert all(entry["terms"] for entry in info.training["config"]["data"])
