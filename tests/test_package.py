"""What the package promises before anything runs."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.metadata import packages_distributions
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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def names(requirements: list[str]) -> set[str]:
    return {Requirement(requirement).name for requirement in requirements}


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name: Version(version) for name, version in pins}


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
        "opencv-python",
        "pillow",
        "platformdirs",
        "prometheus-client",
        "psutil",
        "rich",
    }
    assert names(PROJECT["dependencies"]) == core


def test_development_needs_no_gpu_library() -> None:
    optional = {
        "cuda",
        "docs",
        "engines",
        "openvino",
        "perceptual",
        "report",
        "rtx",
        "tensorrt",
        "torch-tensorrt",
        "train",
    }
    assert set(EXTRAS) == {"dev", *optional}
    every = names(EXTRAS["dev"]) | names(EXTRAS["train"]) | names(EXTRAS["openvino"])
    # TensorRT-RTX is there because it parses and builds without a GPU.
    assert not every & {"tensorrt", "torch-tensorrt", "pycuda"}
    assert EXTRAS["dev"][0] == "ladle-rt[docs,openvino,perceptual,report,train]"


@pytest.mark.parametrize(
    "extra", [None, "docs", "engines", "perceptual", "train", "openvino", "dev"]
)
def test_what_ci_installs_is_pinned_within_the_ranges(extra: str | None) -> None:
    pins = constraints()
    for line in PROJECT["dependencies"] if extra is None else EXTRAS[extra]:
        wanted = Requirement(line)
        needed_here = wanted.marker is None or wanted.marker.evaluate()
        if needed_here and wanted.name != "ladle-rt":
            assert pins[wanted.name] in wanted.specifier, line


def test_one_opencv_is_installed() -> None:
    assert len(set(packages_distributions()["cv2"])) == 1


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


def test_the_default_model_ships_with_its_card() -> None:
    path = shipped_models()[DEFAULT_MODEL]
    info = load_artifact().info
    assert info.name == DEFAULT_MODEL and info.train_size == (192, 256)
    assert path.stat().st_size < 10e6
    assert path.with_suffix(".md").is_file()
    assert not path.is_relative_to(ROOT) or path.with_suffix(".safetensors").is_file()
    assert all(entry["terms"] for entry in info.training["config"]["data"])
