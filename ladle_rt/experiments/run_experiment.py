"""Runs experiments: what is missing is trained, measured and compared; all of it resumable."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ladle_rt.benchmark.provenance import provenance
from ladle_rt.errors import MissingDependencyError, TrainingStoppedError
from ladle_rt.experiments.arm_configs import ArmRun, ResolvedExperiment
from ladle_rt.experiments.arm_scores import ArmScores, score_arm
from ladle_rt.experiments.experiment_plot import to_html
from ladle_rt.experiments.experiment_result import ExperimentResult, analyse, read_result
from ladle_rt.experiments.experiment_tables import to_markdown, to_summary
from ladle_rt.experiments.handle_pretraining import pretrain_handle
from ladle_rt.files import write_text
from ladle_rt.training.checkpoint import CHECKPOINT
from ladle_rt.training.data_spec import select_pairs
from ladle_rt.training.loop import Progress, train
from ladle_rt.training.train_config import TrainConfig

logger = logging.getLogger("ladle_rt")

RUNS = "runs"
"""Folder of the trainings, shared by the experiments of one output folder."""
RESULT, TABLE, PLOT = "result.json", "table.md", "plot.html"
WEIGHTS = "last.safetensors"

Watch = Callable[[str, int], AbstractContextManager[Callable[[Progress], None]]]
"""Told the words for a run and its steps, gives what `train` reports to."""


def result_folder(out: Path, resolved: ResolvedExperiment) -> Path:
    """Where an experiment's result goes; scales lie beside each other."""
    return out / (
        resolved.name if resolved.scale == "small" else f"{resolved.name}-{resolved.scale}"
    )


def run_experiment(
    resolved: ResolvedExperiment,
    out: Path,
    command: str,
    watch: Watch,
    stop: threading.Event | None = None,
    device: str = "auto",
) -> ExperimentResult:
    """Run what is not done yet, and write result, table and plot after every arm.

    Args:
        resolved: the experiment.
        out: folder of all experiments; trainings that several need are made once.
        command: as typed, for the result.
        watch: shows a training's progress.
        stop: end after the step at hand; the result so far is written.
        device: as of `ladle_rt.training.loop.train`.

    Returns:
        The result; ``complete`` is off where it was stopped.

    Raises:
        ConfigError: a run's folder holds another run.
        DatasetError: data that cannot be used.
        InputError: the output folder holds a result of another schema version.
        ModelError: weights that cannot be used.
        TrainingError: a loss that is not finite, or memory that ran out.
    """
    stop = stop or threading.Event()
    folder = result_folder(out, resolved)
    if (folder / RESULT).exists():
        read_result(folder / RESULT)
    scores: dict[str, dict[int, ArmScores]] = {}
    settings = _settings(resolved)
    facts = provenance(command)
    reference = next(
        (run.config.data for run in resolved.runs if run.arm.name == resolved.plan.reference), ()
    )
    data = reference or (resolved.runs[0].config.data if resolved.runs else ())
    result = analyse(resolved, scores, settings, facts)
    jobs: list[tuple[str, int, Callable[[], ArmScores]]] = [
        (
            arm.name,
            0,
            lambda model=arm.model: score_arm(model, resolved, data, out / RUNS / model),  # type: ignore[misc]
        )
        for arm in resolved.plan.arms
        if arm.model and arm.name not in resolved.skipped
    ]
    for run in resolved.runs:
        jobs.append((run.arm.name, run.seed, lambda run=run: _train_and_score(run)))  # type: ignore[misc]

    def _train_and_score(run: ArmRun) -> ArmScores:
        weights = train_arm(run, out / RUNS, watch, stop, device)
        return score_arm(str(weights), resolved, run.config.data, weights.parent)

    for number, (name, seed, work) in enumerate(jobs, 1):
        if stop.is_set():
            break
        logger.info("%s %d/%d: %s, seed %d", resolved.name, number, len(jobs), name, seed)
        try:
            scores.setdefault(name, {})[seed] = work()
        except TrainingStoppedError:
            scores = {arm: found for arm, found in scores.items() if found}
            break
        result = analyse(resolved, scores, settings, facts)
        _write(folder, result)
    return result


def train_arm(run: ArmRun, runs: Path, watch: Watch, stop: threading.Event, device: str) -> Path:
    """Train one arm with one seed, go on with it, or find it finished.

    Returns:
        Its last weights.

    Raises:
        As of `run_experiment`; TrainingStoppedError: it was asked to stop, and saved.
    """
    folder = runs / run.key
    weights = folder / WEIGHTS
    # The JSON is written last.
    if weights.is_file() and weights.with_suffix(".json").is_file():
        return weights
    config: TrainConfig = run.config
    if run.pretraining is not None:
        handle = pretrain_handle(run.pretraining, runs / run.pretraining.key, stop)
        config = replace(config, handle_weights=str(handle.resolve()))
    words = f"{run.arm.name}, seed {run.seed}"
    with watch(words, config.steps) as on_progress:
        train(config, folder, True, on_progress, device, stop=stop)
    # Only a run that has not ended needs it, and a queue of arms would fill the disk.
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return weights


def _settings(resolved: ResolvedExperiment) -> dict[str, Any]:
    """How big the experiment is, in numbers."""
    runs = [run for run in resolved.runs if run.seed == 1]
    by_name = {run.arm.name: run for run in runs}
    first = by_name.get(resolved.plan.reference) or (runs[0] if runs else None)
    sets = []
    for one in resolved.validation:
        count = len(select_pairs(one.spec))
        sets.append(f"{one.name} ({count})")
    pairs: int | None = None
    if first is not None:
        pairs = sum(len(select_pairs(spec)) for spec in first.config.data)
    return {
        "steps": first and first.config.steps,
        "epochs": first and first.config.epochs,
        "batch": first and first.config.batch,
        "crop": list(first.config.crop) if first else None,
        "seeds": resolved.seeds,
        "pairs": pairs,
        "validation": ", ".join(sets),
        "arms": {
            run.arm.name: {
                "architecture": run.config.architecture,
                "preset": run.config.preset,
                "handle": _handle(run),
                "folder": run.key.rpartition("-")[0],
            }
            for run in runs
        },
    }


def _handle(run: ArmRun) -> str | None:
    """Where the Handle's weights come from, in words."""
    if run.pretraining is None:
        source = run.config.handle_weights
        return None if source is None else Path(source).name
    task = run.pretraining.task
    stands_in = f"stand-in for {run.arm.handle_checkpoint}: " if run.arm.handle_checkpoint else ""
    return f"{stands_in}{task.task} on {task.on} pictures, {run.pretraining.steps} steps"


def _write(folder: Path, result: ExperimentResult) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = {RESULT: json.dumps(result.to_dict(), indent=1) + "\n", TABLE: to_markdown(result)}
    try:
        texts[PLOT] = to_html(result)
    except MissingDependencyError as error:
        logger.warning("%s; the plot is left out", error)
    for name, text in texts.items():
        write_text(folder / name, text)


def write_summary(out: Path) -> None:
    """One table over the results in a folder: ``summary.md``."""
    results = [read_result(path) for path in sorted(out.glob(f"*/{RESULT}"))]
    if results:
        write_text(out / "summary.md", to_summary(results))
