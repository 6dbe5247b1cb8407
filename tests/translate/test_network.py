"""The contract that every engine's graph is held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError, ModelError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import ModelArtifact, ModelInfo, file_sha256, load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.network import check_interface, check_output

INPUTS: list[tuple[str, str, list[Any]]] = [("thermal", "float32", [None, 1, None, None])]
OUTPUTS: list[tuple[str, str, list[Any]]] = [("rgb", "float32", [1, 3, 64, 96])]


@pytest.fixture
def artifact(tiny_model: Path) -> ModelArtifact:
    return load_artifact(tiny_model)


def test_fixed_and_open_dimensions_fit(artifact: ModelArtifact) -> None:
    check_interface(artifact, INPUTS, OUTPUTS)
    check_interface(artifact, [("thermal", "float32", [1, None, 64, 96])], OUTPUTS)


CLASSES = ("classes", "float32", [None, 7, None, None])


def test_classes_may_be_there_and_must_be_where_they_are_wanted(artifact: ModelArtifact) -> None:
    check_interface(artifact, INPUTS, [*OUTPUTS, CLASSES])
    check_interface(artifact, INPUTS, [CLASSES, *OUTPUTS], "classes")
    with pytest.raises(ModelError, match="expected a model with classes, this one has none"):
        check_interface(artifact, INPUTS, OUTPUTS, "classes")


@pytest.mark.parametrize(
    ("inputs", "outputs", "received"),
    [
        ([], OUTPUTS, "received none"),
        (INPUTS * 2, OUTPUTS, "one input 'thermal'"),
        ([("thermal", "uint8", [None, 1, None, None])], OUTPUTS, "thermal uint8"),
        ([("thermal", "float32", [None, None])], OUTPUTS, "one input 'thermal'"),
        (INPUTS, [("rgb", "float32", [1, 4, 64, 96])], r"rgb float32 \[1, 4, 64, 96\]"),
        (INPUTS, [CLASSES], "one output 'rgb' .* received none"),
        (INPUTS, [*OUTPUTS, ("classes", "float32", [1, 19, 64, 96])], "one output 'classes'"),
        (INPUTS, [("colour", "float32", [1, 3, 64, 96])], "one output 'rgb'"),
    ],
)
def test_other_interfaces_are_refused(
    artifact: ModelArtifact, inputs: Any, outputs: Any, received: str
) -> None:
    with pytest.raises(ModelError, match=received):
        check_interface(artifact, inputs, outputs)


def test_the_probe_is_a_picture_of_the_training_size(artifact: ModelArtifact) -> None:
    probes = []

    def run(thermal: np.ndarray) -> np.ndarray:
        probes.append(thermal.copy())
        # What float arithmetic puts past the ends is no reason to refuse a model.
        return np.repeat(thermal, 3, axis=1) * np.float32(1.0008)

    check_output(artifact, run)
    (probe,) = probes
    assert probe.shape == (1, 1, 64, 96) and probe.dtype == np.float32
    assert (probe.min(), probe.max()) == (0, 1)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("trace\n\nConv: bad attribute\n"), "does not run: Conv: bad attribute"),
        (MemoryError(), "does not run: MemoryError"),
    ],
)
def test_graphs_that_do_not_run(artifact: ModelArtifact, error: Exception, line: str) -> None:
    def run(thermal: np.ndarray) -> np.ndarray:
        raise error

    with pytest.raises(ModelError) as caught:
        check_output(artifact, run)
    assert str(caught.value) == f"{artifact.onnx_path}: the graph {line}"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.zeros((1, 3, 32, 48), np.float32), r"shape \(1, 3, 64, 96\), received \(1, 3, 32, 48"),
        (np.full((1, 3, 64, 96), np.inf, np.float32), "not finite"),
        (np.full((1, 3, 64, 96), -0.01, np.float32), "received -0.01 to -0.01"),
        (np.full((1, 3, 64, 96), 255, np.float32), "received 255 to 255"),
    ],
)
def test_outputs_that_are_no_picture(
    artifact: ModelArtifact, output: np.ndarray, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        check_output(artifact, lambda thermal: output)


def test_scores_may_be_of_any_range_but_one_for_each_group(artifact: ModelArtifact) -> None:
    check_output(artifact, lambda thermal: np.full((1, 7, 64, 96), -9, np.float32), "classes")
    with pytest.raises(ModelError, match=r"shape \(1, 7, 64, 96\), received \(1, 7, 16, 24\)"):
        check_output(artifact, lambda thermal: np.zeros((1, 7, 16, 24), np.float32), "classes")


def fixed_size(path: Path) -> Path:
    """The same graph for one size only, 64x96."""
    graph = onnx.load(str(path))
    for value in (*graph.graph.input, *graph.graph.output):
        height, width = value.type.tensor_type.shape.dim[2:]
        height.dim_value, width.dim_value = 64, 96
    onnx.save(graph, str(path))
    beside = path.with_suffix(".json")
    info = ModelInfo.from_json(beside.read_text(encoding="utf-8"), "test")
    beside.write_text(replace(info, onnx_sha256=file_sha256(path)).to_json(), encoding="utf-8")
    return path


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_engine_that_fails_on_one_frame(
    tmp_path: Path, make_model: Callable[..., Path], backend: Any
) -> None:
    """One line, the engine's own error behind it, and the next frame is translated."""
    if backend == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    artifact = load_artifact(fixed_size(make_model(tmp_path / "m.onnx")))
    options = TranslateOptions(backend=backend, threads=1)
    with create_translator(artifact, options, PictureSpec("rgb24", False)) as translator:
        for number, shape in enumerate([(96, 64), (64, 96)]):
            translator.submit(Frame(np.zeros(shape, np.uint8), number, 0))
        with pytest.raises(
            BackendError, match=rf"^{backend} failed on a frame scaled to 64x96: \S"
        ) as caught:
            translator.collect(30)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is not None
        assert translator.collect(30).frame.sequence == 1
