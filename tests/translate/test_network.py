"""The contract that every engine's graph is held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.errors import ModelError
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.translate.network import check_interface, check_output

INPUTS: list[tuple[str, str, list[Any]]] = [("thermal", "float32", [None, 1, None, None])]
OUTPUTS: list[tuple[str, str, list[Any]]] = [("rgb", "float32", [1, 3, 64, 96])]


@pytest.fixture
def artifact(tiny_model: Path) -> ModelArtifact:
    return load_artifact(tiny_model)


def test_fixed_and_open_dimensions_fit(artifact: ModelArtifact) -> None:
    check_interface(artifact, INPUTS, OUTPUTS)
    check_interface(artifact, [("thermal", "float32", [1, None, 64, 96])], OUTPUTS)


@pytest.mark.parametrize(
    ("inputs", "outputs", "received"),
    [
        ([], OUTPUTS, "received none"),
        (INPUTS * 2, OUTPUTS, "one input 'thermal'"),
        ([("thermal", "uint8", [None, 1, None, None])], OUTPUTS, "thermal uint8"),
        ([("thermal", "float32", [None, None])], OUTPUTS, "one input 'thermal'"),
        (INPUTS, [("rgb", "float32", [1, 4, 64, 96])], r"rgb float32 \[1, 4, 64, 96\]"),
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
