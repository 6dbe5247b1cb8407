"""Trained weights outside a run: safetensors and the model's JSON beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ladle_rt.documents import read_text
from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.files import write_text, write_whole
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.models.registry import build, config_from_dict


def save_model(path: Path, model: nn.Module, info: ModelInfo) -> None:
    """Write ``path`` (safetensors) and its JSON beside it."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    write_whole(path, lambda target: save_file(tensors, target))
    write_text(path.with_suffix(".json"), info.to_json())


def load_model(path: Path) -> tuple[nn.Module, ModelInfo]:
    """Rebuild a network from its safetensors and JSON, in evaluation mode.

    Raises:
        ModelError: a missing or damaged file, or weights of another architecture.
    """
    json_path = path.with_suffix(".json")
    for file in (path, json_path):
        if not file.is_file():
            raise ModelError(f"{file}: no such file; a model is a .safetensors and a .json")
    info = ModelInfo.from_json(read_text(json_path, "a model JSON", ModelError), str(json_path))
    try:
        model = build(info.architecture, config_from_dict(info.architecture, info.config))
    except ConfigError as error:
        raise ModelError(f"{json_path}: {error}") from error
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: expected safetensors weights, received {error}") from error
    expected = model.state_dict()
    wrong = sorted(
        name
        for name in expected.keys() | weights.keys()
        if name not in expected
        or name not in weights
        or expected[name].shape != weights[name].shape
    )
    if wrong:
        raise ModelError(
            f"{path}: {len(wrong)} tensors do not fit {info.architecture} as {json_path.name} "
            f"describes it, first {wrong[0]!r}"
        )
    model.load_state_dict(weights)
    return model.eval(), info


def inherit(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Start a network from the weights of a smaller one, so that it paints the same at first.

    A convolution with more inputs than before takes the old ones first and ignores the rest.

    Args:
        model: changed in place.
        weights: by name, of a network of the same architecture.

    Returns:
        Names of the tensors that stay as they were and are not zero: those the other network
        lacks, or has in another shape.
    """
    fresh = []
    for name, own in model.state_dict().items():
        other = weights.get(name)
        if other is None or not _fits(own, other):
            if own.any():
                fresh.append(name)
        elif own.shape == other.shape:
            own.copy_(other)
        else:
            own.zero_()[:, : other.shape[1]] = other
    return fresh


def _fits(own: Tensor, other: Tensor) -> bool:
    if own.shape == other.shape:
        return True
    wider = own.ndim == other.ndim == 4 and own.shape[1] > other.shape[1]
    return wider and own.shape[0] == other.shape[0] and own.shape[2:] == other.shape[2:]
