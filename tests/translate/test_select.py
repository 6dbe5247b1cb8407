"""What an engine that cannot be used says, and what a model must say of itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from ladle_rt.config import Backend, TranslateOptions
from ladle_rt.device import usable_cores
from ladle_rt.errors import ConfigError, MissingDependencyError, ModelError
from ladle_rt.models.artifact import METADATA_KEY, ModelInfo, file_sha256, load_artifact
from ladle_rt.translate import PictureSpec, create_translator, load_network

RGB = PictureSpec("rgb24", False)


@pytest.mark.parametrize("backend", ["tensorrt", "torch-tensorrt"])
def test_engines_of_the_gpu_have_no_cpu_form(backend: Backend, tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match=f"^{backend} runs on a GPU only; choose onnxruntime"):
        load_network(load_artifact(tiny_model), backend)


def test_a_missing_engine_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ladle-rt\[openvino\]'"):
        load_network(load_artifact(tiny_model), "openvino")


def test_one_worker_per_usable_core_unless_told(tiny_model: Path) -> None:
    for threads, expected in ((None, usable_cores()), (3, 3)):
        options = TranslateOptions(backend="onnxruntime", threads=threads)
        with create_translator(load_artifact(tiny_model), options, RGB) as translator:
            assert translator.name == f"onnxruntime ({expected} workers)"
            assert translator.depth == 2 * expected


def rewritten(path: Path, facts: str | None) -> Path:
    """The same graph with other text, or none, where its own facts are."""
    graph = onnx.load(str(path))
    del graph.metadata_props[:]
    if facts is not None:
        graph.metadata_props.add(key=METADATA_KEY, value=facts)
    onnx.save(graph, str(path))
    beside = path.with_suffix(".json")
    info = ModelInfo.from_json(beside.read_text(encoding="utf-8"), "test")
    beside.write_text(replace(info, onnx_sha256=file_sha256(path)).to_json(), encoding="utf-8")
    return path


@pytest.mark.parametrize("facts", ["not json", "{}", "[1]"])
def test_foreign_facts_are_one_line(
    tmp_path: Path, make_model: Callable[..., Path], facts: str
) -> None:
    artifact = load_artifact(rewritten(make_model(tmp_path / "m.onnx"), facts))
    with pytest.raises(ModelError, match="own facts differ") as caught:
        load_network(artifact, "onnxruntime")
    assert "\n" not in str(caught.value)


def test_a_graph_without_facts_goes_by_its_json(
    tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    artifact = load_artifact(rewritten(make_model(tmp_path / "m.onnx"), None))
    assert load_network(artifact, "onnxruntime").name == "onnxruntime"
