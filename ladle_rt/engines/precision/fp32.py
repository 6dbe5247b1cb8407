"""The fp32 graph that everything is derived from."""

from __future__ import annotations

from pathlib import Path

from ladle_rt.errors import ModelError, require
from ladle_rt.models.artifact import ModelArtifact, file_sha256, load_artifact


def fp32_artifact(model: str | Path, folder: Path) -> ModelArtifact:
    """Find or export the fp32 graph of a model.

    Args:
        model: shipped name, ``.onnx`` or ``.safetensors`` (exported with torch, extra ``train``).
        folder: where an export goes; its name carries the hash of the weights.

    Raises:
        ModelError: no such model, or a graph of lower precision.
        MissingDependencyError: weights to export, and torch is not installed.
    """
    path = Path(model)
    artifact = _exported(path, folder) if path.suffix == ".safetensors" else load_artifact(model)
    if artifact.info.precision != "fp32":
        raise ModelError(
            f"{artifact.onnx_path}: expected an fp32 graph to start from, received "
            f"{artifact.info.precision}; name the model that it was made from"
        )
    return artifact


def _exported(weights: Path, folder: Path) -> ModelArtifact:
    for module in ("torch", "onnxscript", "safetensors"):
        require(module, "train")
    from ladle_rt.engines.export_onnx import export_onnx
    from ladle_rt.models.weights import load_model

    network, info = load_model(weights)
    path = folder / f"{weights.stem}-fp32-{file_sha256(weights)[:8]}.onnx"
    if path.is_file():
        return load_artifact(path)
    exported = export_onnx(network, info, path)
    return ModelArtifact(exported.onnx_path, exported.info)
