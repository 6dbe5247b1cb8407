"""How far engines are from the checkpoint they were made of, on the same frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.datasets import Pair, read_thermal
from ladle_rt.errors import DatasetError, MissingDependencyError, ModelError
from ladle_rt.evaluation.eval_model import EvalModel, Predict, comparison_size
from ladle_rt.evaluation.open_models import CHECKPOINT, open_checkpoint
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelInfo, load_artifact
from ladle_rt.thermal.normalization import ThermalNormalization, normalize
from ladle_rt.translate import load_network

TOLERANCE = 2 / 255
"""Largest absolute difference that fp32 engines may show, RGB in [0,1]: two 8-bit counts."""


@dataclass(frozen=True, slots=True)
class Engines:
    """One model in every engine that is installed."""

    name: str
    reference: EvalModel
    """The checkpoint, in torch."""
    others: dict[str, Predict]
    """The exported graph, by engine."""
    missing: dict[str, str]
    """Engines that are not installed, and how to install them."""
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One engine against the reference; RGB in [0,1], over all values of all frames."""

    max_abs: float
    """NaN where either output is."""
    mean_abs: float

    def within(self, tolerance: float) -> bool:
        """Whether the largest difference is a number and small enough."""
        return bool(self.max_abs <= tolerance)

    def to_dict(self) -> dict[str, float | None]:
        """JSON-ready; ``None`` where it is no number."""
        values = {"max_abs": self.max_abs, "mean_abs": self.mean_abs}
        return {k: float(f"{v:.4g}") if np.isfinite(v) else None for k, v in values.items()}


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison found."""

    frames: int
    engines: dict[str, Difference]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        engines = {name: found.to_dict() for name, found in self.engines.items()}
        return {"frames": self.frames, "engines": engines}


def open_engines(models: Sequence[str]) -> Engines:
    """Load one model's checkpoint into torch and its graph into each installed engine.

    Args:
        models: the checkpoint and its ``.onnx``, or either where the other lies beside it.

    Raises:
        MissingDependencyError: torch is not installed.
        ModelError: not one model's checkpoint and graph.
    """
    weights, graph = _checkpoint_and_graph(list(models) or [DEFAULT_MODEL])
    checkpoint, info = open_checkpoint(weights)
    artifact = load_artifact(graph)
    if _identity(info) != _identity(artifact.info):
        raise ModelError(
            f"{weights} and {graph} describe different models ({info.name}, "
            f"{artifact.info.name}); expected a checkpoint and its own export"
        )
    others: dict[str, Predict] = {}
    missing = {}
    for backend in ("onnxruntime", "openvino"):
        try:
            others[backend] = load_network(artifact, backend).runner()
        except MissingDependencyError as error:
            missing[backend] = str(error)
    files = (*checkpoint.files, artifact.onnx_path, artifact.onnx_path.with_suffix(".json"))
    return Engines(artifact.info.name, checkpoint, others, missing, files)


def parity(
    reference: Predict, engines: Mapping[str, Predict], frames: Iterable[npt.NDArray[np.float32]]
) -> Parity:
    """Compare engines with a reference.

    Args:
        reference: the checkpoint.
        engines: the others, by name.
        frames: HxW float32 in [0,1], normalised.

    Raises:
        DatasetError: no frame.
    """
    worst = dict.fromkeys(engines, 0.0)
    total = dict.fromkeys(engines, 0.0)
    count = values = 0
    for frame in frames:
        batch = np.ascontiguousarray(frame)[None, None]
        expected = np.array(reference(batch))
        count, values = count + 1, values + expected.size
        for name, predict in engines.items():
            error = np.abs(predict(batch) - expected)
            worst[name] = float(np.maximum(worst[name], error.max()))  # keeps NaN
            total[name] += float(error.sum(dtype=np.float64))
    if not count:
        raise DatasetError("parity needs at least one frame, received none")
    return Parity(count, {name: Difference(worst[name], total[name] / values) for name in engines})


def thermal_frames(
    pairs: Sequence[Pair], spec: ThermalNormalization
) -> Iterator[npt.NDArray[np.float32]]:
    """Thermal images at comparison size, normalised; HxW float32 in [0,1].

    Raises:
        InputError: an image that is missing or does not decode.
    """
    for pair in pairs:
        yield normalize(comparison_size(read_thermal(pair.thermal)), spec)


def _checkpoint_and_graph(models: list[str]) -> tuple[Path, Path]:
    """The files that one or two words name."""
    if len(models) > 2:
        raise ModelError(
            f"parity compares one model with itself: expected its checkpoint and its .onnx, "
            f"received {len(models)} models"
        )
    weights = [Path(model) for model in models if Path(model).suffix.lower() == CHECKPOINT]
    graphs = [load_artifact(model).onnx_path for model in models if Path(model) not in weights]
    if len(models) == 2 and len(weights) != 1:
        raise ModelError(
            "parity compares one model with itself: expected a .safetensors checkpoint and its "
            f".onnx, received {models[0]!r} and {models[1]!r}"
        )
    one = weights[0] if weights else graphs[0].with_suffix(CHECKPOINT)
    other = graphs[0] if graphs else weights[0].with_suffix(".onnx")
    for path, kind in ((one, "checkpoint"), (other, "exported graph")):
        if not path.is_file():
            raise ModelError(
                f"{path}: no such file; parity needs a model's {kind} too, give it as a second "
                "--model"
            )
    return one, other


def _identity(info: ModelInfo) -> tuple[object, ...]:
    return info.architecture, info.config, info.thermal, info.parameters
