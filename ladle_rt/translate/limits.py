"""What a model may ask for: a file can name any amount of memory and of time."""

from __future__ import annotations

import psutil

from ladle_rt.errors import ModelError
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.graph_outputs import operators

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Without them a graph runs each of its nodes once. No network of this package has any."""
MOST_MEMORY = 8 << 30
"""Bytes for the tensors of all networks in a process: eight frames of 640x512 need two thirds."""


def memory_limit() -> int:
    """Bytes that the tensors of a process's networks may take together."""
    return min(MOST_MEMORY, psutil.virtual_memory().total // 2)


def check_operators(artifact: ModelArtifact) -> None:
    """Refuse a graph that may run for ever.

    Raises:
        ModelError: it has control flow.
    """
    found = operators(artifact.onnx_path.read_bytes()) & CONTROL_FLOW
    if found:
        raise ModelError(
            f"{artifact.onnx_path}: expected a network without control flow, received the "
            f"operator {min(found)}; export the model with `ladle-rt export`"
        )
