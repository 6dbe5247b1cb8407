"""Models by what users call them: shipped names, graphs, checkpoints.

torch is imported only where a checkpoint is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ladle_rt.datasets.look import LOOKS, Look
from ladle_rt.errors import ModelError, require
from ladle_rt.evaluation.eval_model import SIZE, EvalModel
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelInfo, load_artifact
from ladle_rt.translate import load_network

CHECKPOINT = ".safetensors"
PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
"""Endings of files that run whatever code they hold when they are loaded."""


def open_models(models: Sequence[str], size: tuple[int, int] = SIZE) -> list[EvalModel]:
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
        names = Counter(one.name for one in opened)
        opened = [
            replace(one, name=label(one.files[0])) if names[one.name] > 1 else one for one in opened
        ]
    return opened


def open_checkpoint(path: Path, size: tuple[int, int] = SIZE) -> tuple[EvalModel, ModelInfo]:
    """Load a checkpoint into torch, on the CPU.

    Raises:
        MissingDependencyError: torch is not installed.
        ModelError: a model that cannot be used.
    """
    for module in ("torch", "safetensors"):
        require(module, "train")
    import torch

    from ladle_rt.models.weights import load_model

    network, info = load_model(path)
    _check_size(info, size)
    network.eval()

    def predict(thermal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            output: npt.NDArray[np.float32] = network(torch.from_numpy(thermal)).numpy()
        return output

    files = (path, path.with_suffix(".json"))
    return EvalModel(info.name, predict, info.thermal, _look(info, path), files), info


def _open(model: str, size: tuple[int, int]) -> EvalModel:
    path = Path(model)
    if path.suffix.lower() in PICKLES:
        raise ModelError(
            f"{path}: a pickle can run code when it is read and is refused; give the run's "
            f"{CHECKPOINT} file (with its .json), or an .onnx of `ladle-rt export`"
        )
    if path.suffix.lower() == CHECKPOINT:
        return open_checkpoint(path, size)[0]
    artifact = load_artifact(model)
    _check_size(artifact.info, size)
    look = _look(artifact.info, artifact.onnx_path)
    predict = load_network(artifact, "onnxruntime").runner()
    files = (artifact.onnx_path, artifact.onnx_path.with_suffix(".json"))
    return EvalModel(artifact.info.name, predict, artifact.info.thermal, look, files)


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
