"""Models by what users call them, ready to be measured beside each other.

Checkpoints are rebuilt by training, graphs loaded by translate, and evaluation knows neither:
this is where they meet. torch is imported only where a checkpoint is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ladle_rt.datasets.look import LOOKS, Look
from ladle_rt.errors import MissingDependencyError, ModelError, require
from ladle_rt.evaluation.contestant import SIZE, Contestant, Predict
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelInfo, load_artifact
from ladle_rt.translate import load_network

CHECKPOINT = ".safetensors"
PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
"""Endings of files that run whatever code they hold when they are loaded."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model and the files it came from."""

    contestant: Contestant
    files: tuple[Path, Path]
    """Weights or graph, and JSON."""


@dataclass(frozen=True, slots=True)
class Engines:
    """One model in every engine that is installed."""

    name: str
    reference: Contestant
    """The checkpoint, in torch."""
    others: dict[str, Predict]
    """The exported graph, by engine."""
    missing: dict[str, str]
    """Engines that are not installed, and how to install them."""
    files: tuple[Path, ...]


def open_models(models: Sequence[str], size: tuple[int, int] = SIZE) -> list[Opened]:
    """Load models under names that differ.

    Args:
        models: shipped names, paths of ``.onnx`` files or of ``.safetensors`` checkpoints, each
            with its JSON beside it; none means the shipped default.

    Raises:
        MissingDependencyError: a checkpoint where torch is not installed.
        ModelError: a model that cannot be used, a pickle, or one that was given twice.
    """
    wanted = list(models) or [DEFAULT_MODEL]
    twice = [model for model, count in Counter(wanted).items() if count > 1]
    if twice:
        raise ModelError(f"expected models that differ, received {twice[0]!r} twice")
    opened = [_open(model, size) for model in wanted]
    for label in (lambda path: path.name, str):
        names = Counter(one.contestant.name for one in opened)
        opened = [
            replace(one, contestant=replace(one.contestant, name=label(one.files[0])))
            if names[one.contestant.name] > 1
            else one
            for one in opened
        ]
    return opened


def open_engines(models: Sequence[str]) -> Engines:
    """Load one model's checkpoint into torch and its graph into each installed engine.

    Args:
        models: the checkpoint and its ``.onnx``, or either where the other lies beside it.

    Raises:
        MissingDependencyError: torch is not installed.
        ModelError: not one model's checkpoint and graph.
    """
    weights, graph = _twins(list(models) or [DEFAULT_MODEL])
    checkpoint, info = _checkpoint(weights, SIZE)
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
    return Engines(artifact.info.name, checkpoint.contestant, others, missing, files)


def _open(model: str, size: tuple[int, int]) -> Opened:
    path = Path(model)
    if path.suffix.lower() in PICKLES:
        raise ModelError(
            f"{path}: a pickle can run code when it is read and is refused; give the run's "
            f"{CHECKPOINT} file (with its .json), or an .onnx of `ladle-rt export`"
        )
    if path.suffix.lower() == CHECKPOINT:
        return _checkpoint(path, size)[0]
    artifact = load_artifact(model)
    _check_size(artifact.info, size)
    look = _look(artifact.info, artifact.onnx_path)
    predict = load_network(artifact, "onnxruntime").runner()
    contestant = Contestant(artifact.info.name, predict, artifact.info.thermal, look)
    return Opened(contestant, (artifact.onnx_path, artifact.onnx_path.with_suffix(".json")))


def _checkpoint(path: Path, size: tuple[int, int]) -> tuple[Opened, ModelInfo]:
    for module in ("torch", "safetensors"):
        require(module, "train")
    from ladle_rt.evaluation.reference import torch_predict
    from ladle_rt.models.weights import load_model

    network, info = load_model(path)
    _check_size(info, size)
    look = _look(info, path)
    contestant = Contestant(info.name, torch_predict(network), info.thermal, look)
    return Opened(contestant, (path, path.with_suffix(".json"))), info


def _twins(models: list[str]) -> tuple[Path, Path]:
    """The checkpoint and the graph that one or two words name."""
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


def _look(info: ModelInfo, path: Path) -> Look:
    if info.look not in LOOKS:
        raise ModelError(
            f"{path.with_suffix('.json')}: expected a look of {LOOKS}, received {info.look!r}; "
            "update ladle-rt, or export the model again with this version"
        )
    return info.look


def _check_size(info: ModelInfo, size: tuple[int, int]) -> None:
    if size[0] % info.size_multiple or size[1] % info.size_multiple:
        raise ModelError(
            f"{info.name}: evaluation is at {size[1]}x{size[0]}, and this model needs sides "
            f"divisible by {info.size_multiple}"
        )
