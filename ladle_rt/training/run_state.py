"""What of a run a checkpoint holds, and how a run takes it up again."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict
from typing import Any

from ladle_rt.errors import ConfigError, ModelError, first_line
from ladle_rt.models.registry import config_to_dict
from ladle_rt.training.checkpoint import CHECKPOINT
from ladle_rt.training.history import extend
from ladle_rt.training.run_failures import check_finite
from ladle_rt.training.run_folder import MAY_CONTINUE, changed_settings, identity
from ladle_rt.training.training_run import Run
from ladle_rt.training.validate import ValidationScores

logger = logging.getLogger("ladle_rt")


def capture(run: Run) -> dict[str, Any]:
    """Everything that a resumed run needs, on any device and any number of processes.

    Raises:
        TrainingError: weights that are not finite.
    """
    check_finite(run.model.state_dict())
    average = run.average
    return {
        "step": run.step,
        "best": run.best,
        "scores": None if run.last_scores is None else asdict(run.last_scores),
        "run": identity(run.config),
        "phases": [asdict(phase) for phase in run.phases],
        "history": run.history,
        "network": config_to_dict(run.model_config),
        "pairs": list(run.samples.counts().values()),
        "model": run.model.state_dict(),
        "average": None if average is None else average.module.state_dict(),
        "averaged": 0 if average is None else int(average.n_averaged),
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.scaler.state_dict(),
        "objective": run.objective.state(),
    }


def restore(run: Run, state: dict[str, Any]) -> None:
    """Take a started run to where a checkpoint is; say what an extension changes.

    Raises:
        ConfigError: an extension that cannot be.
        ModelError: a checkpoint of another run, network or data.
    """
    _check_origin(run, state)
    try:
        run.history, notes = extend(state, run.config, run.phases)
    except ConfigError as error:
        raise ConfigError(f"{CHECKPOINT}: {error}; or start over in another folder") from error
    try:
        run.step, run.best = state["step"], state["best"]
        if state["scores"] is not None:
            run.last_scores = ValidationScores(**state["scores"])
        run.model.load_state_dict(state["model"])
        if run.average is not None:
            run.average.module.load_state_dict(state["average"])
            run.average.n_averaged.fill_(state.get("averaged", run.step))
        run.optimizer.load_state_dict(state["optimizer"])
        run.scaler.load_state_dict(state["scaler"])
        # An extension may bring the run's first discriminator.
        if state["objective"] or not notes:
            run.objective.restore(state["objective"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{CHECKPOINT}: expected a checkpoint of {run.config.architecture} "
            f"{run.config.preset}, received {first_line(error)}; "
            "delete it to start over"
        ) from error
    if notes:
        logger.warning("extends the run after step %d: %s", run.step, "; ".join(notes))
    measured = run.last_scores is not None and run.last_scores.perceptual is not None
    if run.last_scores is not None and measured != (run.config.loss.perceptual > 0):
        logger.warning("the best model is chosen anew: its measure follows the perceptual term")
        run.best = -math.inf


def _check_origin(run: Run, state: dict[str, Any]) -> None:
    if fixed := sorted(changed_settings(state.get("run"), run.config) - MAY_CONTINUE):
        raise ModelError(
            f"{CHECKPOINT} is of a run with other settings ({', '.join(fixed)}); "
            "delete it to start over"
        )
    if state.get("network") != config_to_dict(run.model_config):
        raise ModelError(
            f"{CHECKPOINT} is of another {run.config.architecture} {run.config.preset} than "
            "this version builds; delete it to start over"
        )
    counts = list(run.samples.counts().values())
    if state.get("pairs") != counts:
        raise ModelError(
            f"{CHECKPOINT} expects {state.get('pairs')} pairs in the datasets, found {counts}; "
            "bring the data back, or start over in another folder"
        )
