"""The models that a run leaves: the best on its validation pairs, and the last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ladle_rt
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.models.registry import config_to_dict
from ladle_rt.models.weights import save_model
from ladle_rt.training.history import up_to
from ladle_rt.training.run_failures import check_finite
from ladle_rt.training.run_folder import dataset_name, publishable
from ladle_rt.training.training_run import Run
from ladle_rt.training.validate import ValidationScores


def validate(run: Run, folder: Path) -> tuple[ValidationScores, Path]:
    """Score the averaged weights, write a sheet, keep the model if it is the best so far.

    Returns:
        The scores and the sheet's place.

    Raises:
        TrainingError: weights that are not finite.
    """
    assert run.validator is not None
    check_finite(run.averaged.state_dict())
    features = run.objective.features if run.config.loss.perceptual > 0 else None
    scores, shown = run.validator(run.averaged, features)
    sheet = folder / f"sheet-{run.step:06d}.png"
    run.validator.write_sheet(sheet, shown)
    run.last_scores = scores
    if scores.choice > run.best:
        run.best = scores.choice
        save_model(folder / "best.safetensors", run.averaged, model_info(run, scores))
    return scores, sheet


def model_info(run: Run, scores: ValidationScores | None) -> ModelInfo:
    """What the JSON of the run's network says; its phases are those up to its step."""
    config = run.config
    metrics: dict[str, Any] = {}
    if scores is not None:
        metrics["validation"] = {"step": run.step, **scores.rounded()}
    pairs: dict[str, int] = {}
    for path, count in run.samples.counts().items():
        pairs[dataset_name(path)] = pairs.get(dataset_name(path), 0) + count
    return ModelInfo(
        name=f"{config.architecture}-{config.preset}",
        architecture=config.architecture,
        config=config_to_dict(run.model_config),
        thermal=config.thermal,
        train_size=config.crop,
        size_multiple=run.model_config.size_multiple,
        parameters=sum(parameter.numel() for parameter in run.model.parameters()),
        macs=run.macs,
        training={
            "version": ladle_rt.__version__,
            "step": run.step,
            "config": publishable(replace(config, steps=run.steps)),
            "phases": up_to(run.history, run.step),
            "pairs": pairs,
        },
        metrics=metrics,
        onnx_sha256="",
        look=config.look,
    )
