"""What a model may ask for: a file can name any amount of memory and of time."""

from __future__ import annotations

import psutil

from ladle_rt.errors import BackendError, ModelError
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.graph_outputs import operators

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Without them a graph runs each of its nodes once. No network of this package has any."""
MOST_MEMORY = 8 << 30
"""Bytes for the tensors of all networks in a process: eight frames of 640x512 need two thirds."""


PROBE_S = 60.0
"""Seconds for the first picture, of the size that the model was trained at: a machine that takes
longer is no use, and a graph that does may be made to."""


def memory_limit() -> int:
    """Bytes that the tensors of a process's networks may take together."""
    return min(MOST_MEMORY, psutil.virtual_memory().total // 2)


def too_slow() -> BackendError:
    """What to raise where the first picture took too long."""
    return BackendError(f"no picture within {PROBE_S:g} s; take a smaller model")


def check_operators(artifact: ModelArtifact) -> None:
    """Refuse a graph that may run for ever.

    Raises:
        ModelError: it has control flow.
    """
    try:
        found = operators(artifact.onnx_path.read_bytes()) & CONTROL_FLOW
    except ValueError as error:
        raise ModelError(
            f"{artifact.onnx_path}: expected an ONNX graph, received {error}"
        ) from error
    if found:
        raise ModelError(
            f"{artifact.onnx_path}: expected a network without control flow, received the "
            f"operator {min(found)}; export the model with `ladle-rt export`"
        )
