"""A model that goes along with the tasks, so that no node needs to have it."""

from __future__ import annotations

import atexit
import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.files import scratch_folder, write_whole
from ladle_rt.models.artifact import ModelArtifact, load_artifact

PARTS = (".onnx", ".json", ".safetensors")


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """The files of a model."""

    name: str
    """Their stem."""
    sha256: str
    """Of the graph, hex."""
    files: dict[str, bytes]
    """By extension: graph, facts, and weights where there are any."""


def pack(artifact: ModelArtifact) -> ShippedModel:
    """The files of a model on this machine."""
    found = {
        part: path.read_bytes()
        for part in PARTS
        if (path := artifact.onnx_path.with_suffix(part)).is_file()
    }
    return ShippedModel(artifact.onnx_path.stem, artifact.info.onnx_sha256, found)


@functools.cache
def _scratch() -> Path:
    """Removed with the process; that of a killed one goes when the next makes its own."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(scratch_folder())


def unpack(model: ShippedModel) -> ModelArtifact:
    """The model on this machine's disk, written once in each process.

    Raises:
        OutputError: no room for it.
        ModelError: its files do not belong together.
    """
    folder = Path(_scratch(), model.sha256[:32])
    graph = folder / f"{model.name}.onnx"
    if not graph.exists():
        folder.mkdir(exist_ok=True)
        # The graph last: it says that all is there.
        for part in reversed(PARTS):
            if part in model.files:
                data = model.files[part]
                write_whole(graph.with_suffix(part), lambda file, d=data: file.write_bytes(d))  # type: ignore[misc]
    return load_artifact(graph)
