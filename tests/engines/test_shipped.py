"""The shipped graph is its safetensors, exported: it can be made again and checked."""

from __future__ import annotations

from pathlib import Path

from ladle_rt.engines.export_onnx import TOLERANCE, max_difference
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
from ladle_rt.models.weights import load_model

# The safetensors are in the repository, not in the wheel.
WEIGHTS = Path(__file__).resolve().parents[2] / "ladle_rt" / "weights"


def test_shipped_graph_is_its_weights() -> None:
    model, info = load_model(WEIGHTS / f"{DEFAULT_MODEL}.safetensors")
    artifact = load_artifact(WEIGHTS / f"{DEFAULT_MODEL}.onnx")
    assert artifact.info == info
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert max_difference(model, info, artifact.onnx_path) <= TOLERANCE
    assert load_artifact().info == info
