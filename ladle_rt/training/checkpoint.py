"""Files of a run: the resumable checkpoint and the model that leaves the run.

Everything is written beside its place and renamed: a kill at any moment leaves the previous
file whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.models.registry import build, config_from_dict

CHECKPOINT = "checkpoint.pt"
"""Weights, averaged weights, optimiser and step of the run, for resuming."""


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it there."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint."""
    write_whole(folder / CHECKPOINT, lambda path: torch.save(state, path))


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The run's checkpoint, or None before the first one.

    Raises:
        ModelError: a file that is not one of our checkpoints. Only tensors and plain values
            are unpickled.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # torch's own message explains how to load it unsafely.
        raise ModelError(
            f"{path}: expected a checkpoint of tensors and plain values, received a damaged file "
            "or objects that may run code on loading; refused: delete it to start over"
        ) from error
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        raise ModelError(
            f"{path}: expected a checkpoint of this program, received {first_line}; "
            "delete it to start over"
        ) from error
    if not isinstance(state, dict) or "step" not in state:
        raise ModelError(f"{path}: expected a checkpoint with a step; delete it to start over")
    return state


def save_model(path: Path, model: nn.Module, info: ModelInfo) -> None:
    """Write ``path`` (safetensors) and its JSON beside it."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    write_whole(path, lambda target: save_file(tensors, target))
    write_whole(path.with_suffix(".json"), lambda target: target.write_text(info.to_json()))


def load_model(path: Path) -> tuple[nn.Module, ModelInfo]:
    """Rebuild a network from its safetensors and JSON, in evaluation mode.

    Raises:
        ModelError: a missing or damaged file, or weights of another architecture.
    """
    json_path = path.with_suffix(".json")
    for file in (path, json_path):
        if not file.is_file():
            raise ModelError(f"{file}: no such file; a model is a .safetensors and a .json")
    info = ModelInfo.from_json(json_path.read_text(encoding="utf-8"), str(json_path))
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
