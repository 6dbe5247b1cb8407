"""Writing a graph that was made from another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from ladle_rt.errors import ModelError, OutputError
from ladle_rt.files import publish, temporary_folder
from ladle_rt.models.artifact import METADATA_KEY, ModelArtifact, file_sha256


def check_target(path: Path, overwrite: bool) -> None:
    """Refuse a place for a graph and its JSON before any work is done.

    Raises:
        OutputError: another suffix, no such folder, or taken.
    """
    if path.suffix != ".onnx":
        raise OutputError(f"{path}: expected a name ending in .onnx")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent}: expected a folder to write to, found none")
    taken = next((file for file in (path, path.with_suffix(".json")) if file.exists()), None)
    if taken and not overwrite:
        raise OutputError(f"{taken} exists; choose another name or add --overwrite")


def write_derived(
    source: ModelArtifact,
    graph: onnx.ModelProto,
    path: Path,
    derivation: dict[str, Any],
    overwrite: bool = False,
) -> ModelArtifact:
    """Write a derived graph and its JSON; both appear whole or not at all.

    Args:
        source: the fp32 model it was made from.
        graph: is given the facts as metadata.
        path: target, ending in ``.onnx``.
        derivation: see `ladle_rt.models.artifact.ModelInfo.derivation`.
        overwrite: replace existing files.

    Raises:
        OutputError: the target exists, has another suffix or cannot be written.
        ModelError: the graph is not valid ONNX.
    """
    check_target(path, overwrite)
    info = replace(source.info, derivation=derivation, onnx_sha256="")
    kept = [entry for entry in graph.metadata_props if entry.key != METADATA_KEY]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    graph.metadata_props.add(key=METADATA_KEY, value=json.dumps(info.facts()))
    try:
        onnx.checker.check_model(graph)
    except onnx.checker.ValidationError as error:
        line = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{path}: the graph made from {source.onnx_path} is not valid: {line}"
        ) from error
    with temporary_folder(path) as folder:
        draft = folder / path.name
        onnx.save(graph, str(draft))
        info = replace(info, onnx_sha256=file_sha256(draft))
        draft_json = draft.with_suffix(".json")
        draft_json.write_text(info.to_json(), encoding="utf-8")
        publish(draft, path)
        publish(draft_json, path.with_suffix(".json"))
    return ModelArtifact(path, info)
