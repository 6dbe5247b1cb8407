"""What the package promises before anything runs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import ladle_rt
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact, shipped_models

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: list[str]) -> set[str]:
    cut = str.maketrans(dict.fromkeys("<>=!;[ ", "\n"))
    return {requirement.translate(cut).split("\n")[0] for requirement in requirements}


def test_public_names_are_sorted_and_exist() -> None:
    assert ladle_rt.__all__ == sorted(ladle_rt.__all__)
    assert all(hasattr(ladle_rt, name) for name in ladle_rt.__all__)
    assert (ROOT / "ladle_rt" / "py.typed").is_file()


def test_every_module_says_what_it_is() -> None:
    for path in (ROOT / "ladle_rt").rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_running_needs_no_torch() -> None:
    core = {"av", "click", "numpy", "onnxruntime", "opencv-python", "rich"}
    assert names(PROJECT["dependencies"]) == core


def test_development_needs_no_gpu_library() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == {"dev", "openvino", "rtx", "tensorrt", "torch-tensorrt", "train"}
    every = names(extras["dev"]) | names(extras["train"]) | names(extras["openvino"])
    assert not every & {"tensorrt", "tensorrt-rtx", "torch-tensorrt", "pycuda"}
    assert extras["dev"][0] == "ladle-rt[openvino,train]"


def test_the_default_model_ships_with_its_card() -> None:
    path = shipped_models()[DEFAULT_MODEL]
    info = load_artifact().info
    assert info.name == DEFAULT_MODEL and info.train_size == (192, 256)
    assert path.stat().st_size < 10e6
    assert path.with_suffix(".md").is_file()
    assert not path.is_relative_to(ROOT) or path.with_suffix(".safetensors").is_file()
    assert all(entry["terms"] for entry in info.training["config"]["data"])
