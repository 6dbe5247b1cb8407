"""The resumable checkpoint of a run."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ladle_rt.errors import ModelError, first_line
from ladle_rt.files import write_whole

CHECKPOINT = "checkpoint.pt"
"""Weights, averaged weights, optimiser and step of the run, for resuming."""


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
        raise ModelError(
            f"{path}: expected a checkpoint of this program, received {first_line(error)}; "
            "delete it to start over"
        ) from error
    if not isinstance(state, dict) or "step" not in state:
        raise ModelError(f"{path}: expected a checkpoint with a step; delete it to start over")
    return state
