"""Checkpoint to ONNX: dynamic batch and size, facts as metadata, checked against torch."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from ladle_rt.documents import read_json
from ladle_rt.engines.precision.channels import simplify
from ladle_rt.engines.precision.write import check_target
from ladle_rt.errors import BackendError, ConfigError, InputError
from ladle_rt.files import publish, temporary_folder
from ladle_rt.models.artifact import (
    CLASSES_NAME,
    INPUT_NAME,
    METADATA_KEY,
    OUTPUT_NAME,
    ModelInfo,
    file_sha256,
)
from ladle_rt.models.classes import WithClasses

OPSET = 20
TOLERANCE = 1e-4
"""Largest absolute difference between torch and ONNX Runtime that an export may show, RGB in
[0,1]; measured differences are near 1e-6."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A written artifact and how far it is from torch."""

    onnx_path: Path
    info: ModelInfo
    max_abs_error: float
    """Over the checked shapes, RGB in [0,1]."""


def export_onnx(
    model: nn.Module,
    info: ModelInfo,
    path: Path,
    overwrite: bool = False,
    classes: bool = False,
) -> Exported:
    """Write ``path`` and the JSON beside it; both appear whole or not at all.

    Args:
        model: network taking float32 [N,1,H,W] in [0,1] and returning [N,3,H,W] in [0,1].
        info: its facts; the hash is filled in here.
        path: target, ending in ``.onnx``.
        overwrite: replace existing files.
        classes: write the second output too, what a semantic Handle takes things for.

    Raises:
        ConfigError: ``classes`` of a model that was not trained with the semantic term.
        OutputError: the target exists, has another suffix or cannot be written.
        BackendError: the exported graph differs from torch by more than `TOLERANCE`.
    """
    check_target(path, overwrite)
    model = model.eval()
    names = [OUTPUT_NAME]
    if classes:
        if not info.training.get("config", {}).get("loss", {}).get("semantics"):
            raise ConfigError(
                f"classes need a model trained with the semantics term, received {info.name}"
            )
        model, names = WithClasses(model).eval(), [OUTPUT_NAME, CLASSES_NAME]
    with temporary_folder(path) as folder:
        draft = folder / path.name
        _write_graph(model, info, draft, names)
        error = max_difference(model, info, draft)
        if not error <= TOLERANCE:
            raise BackendError(
                f"exported graph differs from torch by {error:.2g}, more than {TOLERANCE:g}"
            )
        final = replace(info, onnx_sha256=file_sha256(draft))
        draft_json = draft.with_suffix(".json")
        draft_json.write_text(final.to_json(), encoding="utf-8")
        publish(draft, path)
        publish(draft_json, path.with_suffix(".json"))
    return Exported(path, final, error)


def with_metrics(info: ModelInfo, path: Path) -> ModelInfo:
    """Add the mean scores of an evaluation to a model's facts.

    Raises:
        InputError: not the JSON of ``ladle-rt evaluate``.
    """
    try:
        means = read_json(path, "the JSON of `ladle-rt evaluate`", InputError)["means"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected the JSON of `ladle-rt evaluate`, received {error!r}"
        ) from error
    return replace(info, metrics={**info.metrics, "evaluation": means})


def max_difference(model: nn.Module, info: ModelInfo, path: Path) -> float:
    """Largest absolute difference between torch and ONNX Runtime on random frames.

    Checks the training size and a batch of two at another size, so that dynamic axes count.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    height, width = info.train_size
    worst = 0.0
    for shape in ((1, 1, height, width), (2, 1, height + info.size_multiple, width)):
        thermal = torch.rand(shape, generator=generator)
        with torch.no_grad():
            output = model(thermal)
        expected = (output[0] if isinstance(output, tuple) else output).numpy()
        received = session.run([OUTPUT_NAME], {INPUT_NAME: thermal.numpy()})[0]
        worst = float(np.maximum(worst, np.abs(received - expected).max()))  # keeps NaN
    return worst


def _write_graph(model: nn.Module, info: ModelInfo, path: Path, outputs: list[str]) -> None:
    multiple = info.size_multiple
    height, width = info.train_size
    shape = {
        0: torch.export.Dim("batch", min=1, max=64),
        2: multiple * torch.export.Dim("h", min=1, max=4096 // multiple),
        3: multiple * torch.export.Dim("w", min=1, max=4096 // multiple),
    }
    # The exporter narrates every step and warns about its own internals.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (torch.rand(2, 1, height, width),),
            input_names=[INPUT_NAME],
            output_names=outputs,
            dynamic_shapes=(shape,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    _strip(graph)
    simplify(graph)
    graph.metadata_props.add(key=METADATA_KEY, value=json.dumps(info.facts()))
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def _strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes: they hold stack traces with paths of the exporting machine."""
    graph = model.graph
    noted = (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer)
    for item in (model, graph, *noted):
        item.doc_string = ""
        del item.metadata_props[:]
