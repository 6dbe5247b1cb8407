"""The training loop: deterministic samples, averaged weights, resumable at any step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.errors import TrainingStoppedError, require
from ladle_rt.models.weights import save_model
from ladle_rt.training.checkpoint import load_checkpoint, save_checkpoint
from ladle_rt.training.distributed import check_batch, joined_processes
from ladle_rt.training.loader import load_batches
from ladle_rt.training.log import CsvLog, TensorBoardLog, Window
from ladle_rt.training.run_failures import memory_hint
from ladle_rt.training.run_folder import claim_folder, write_settings
from ladle_rt.training.run_models import model_info, validate
from ladle_rt.training.run_state import capture, restore
from ladle_rt.training.samples import MixedSamples, batch_at
from ladle_rt.training.throughput import Meter, Throughput
from ladle_rt.training.train_config import TrainConfig
from ladle_rt.training.training_run import Run
from ladle_rt.training.validate import ValidationScores

LOG_EVERY = 20
"""Steps between log rows."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a progress display gets at the first step and at each logged one."""

    step: int
    steps: int
    phase: str
    """Kind of the phase that the step belongs to."""
    loss: float
    terms: Mapping[str, float]
    """The loss, its unweighted terms and the gradient norm: means since the last one."""
    speed: Throughput
    """Since the last one."""
    overall: Throughput
    """Since the run was started or resumed."""
    eta_s: float
    """Time left if the steps to come take as long as the last ones; phases differ."""
    scores: ValidationScores | None
    """Set on steps that validated."""


def train(
    config: TrainConfig,
    folder: Path,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    stop: threading.Event | None = None,
) -> Path:
    """Run a training to its end.

    Writes into ``folder``: ``config.json``, ``log.csv``, ``checkpoint.pt``, ``sheet-*.png``,
    ``best.safetensors`` + ``best.json`` (highest `ValidationScores.choice` on the validation pairs)
    and ``last.safetensors`` + ``last.json``.

    Under ``torchrun`` the processes share each batch; only the leading one writes, validates and
    calls ``on_progress``, and only it needs the folder. A run may be resumed on another device or
    with another number of processes.

    Args:
        config: the run.
        folder: made if it does not exist.
        resume: go on from the folder's checkpoint; without one, start. A finished run may be
            extended, see `ladle_rt.training.history`.
        on_progress: called at the first step and at every logged one.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        tensorboard: also log into ``folder/tensorboard``.
        stop: end after the step at hand and save; may be set from a signal handler.

    Returns:
        The best model's safetensors, or the last one's where there is no validation set.

    Raises:
        ConfigError: settings that do not fit each other or the machine; the folder holds another
            run, or a run and ``resume`` is off.
        DatasetError: a dataset has no usable pairs.
        MissingDependencyError: TensorBoard is asked for and not installed.
        ModelError: the folder's checkpoint is damaged, of another run, or not only numbers.
        TrainingStoppedError: it was asked to stop before its end; the checkpoint is of its last
            step.
        TrainingError: the loss is not finite or memory runs out; the checkpoint is whole.
    """
    if tensorboard:
        require("tensorboard", "train")
    with joined_processes(device) as processes, memory_hint(config):
        for size in (config.crop, *config.sizes):
            check_batch(batch_at(config, size), processes.count)
        run = Run(config, MixedSamples(config), processes)
        state = None
        if processes.leads:
            claim_folder(folder, config, resume)
            state = load_checkpoint(folder) if resume else None
        state = processes.share(state)
        run.start(fresh=state is None)
        if state is not None:
            restore(run, state)
            if processes.leads:
                write_settings(folder, config)
        _loop(run, folder, on_progress if processes.leads else None, tensorboard, stop)
        if processes.leads:
            info = model_info(run, run.last_scores)
            save_model(folder / "last.safetensors", run.averaged, info)
    return folder / ("best.safetensors" if config.validation else "last.safetensors")


def _loop(
    run: Run,
    folder: Path,
    on_progress: Callable[[Progress], None] | None,
    tensorboard: bool,
    stop: threading.Event | None,
) -> None:
    config, leads = run.config, run.processes.leads
    batches = load_batches(run.samples, run.step, config.workers, run.processes)
    meter, window, first = Meter(run.processes.count), Window(), run.step + 1

    def notify(
        values: Mapping[str, float], speed: Throughput, scores: ValidationScores | None
    ) -> None:
        if on_progress is not None:
            on_progress(
                Progress(
                    step=run.step,
                    steps=run.steps,
                    phase=position.phase.kind,
                    loss=values["loss"],
                    terms=values,
                    speed=speed,
                    overall=meter.overall,
                    eta_s=(run.steps - run.step) / speed.steps_per_s,
                    scores=scores,
                )
            )

    with ExitStack() as stack:
        logs: list[CsvLog | TensorBoardLog] = []
        if leads:
            logs.append(stack.enter_context(CsvLog(folder / "log.csv", run.step)))
        if leads and tensorboard:
            board = TensorBoardLog(folder / "tensorboard", run.step)
            logs.append(stack.enter_context(board))
        for batch in meter.waiting(batches):
            rate, position = run.learning_rate(run.step), run.position
            with meter.step(len(batch.thermal)):
                values = run.advance(batch)
            window.add(position.number, values)
            last = run.step == run.steps
            stopped = run.processes.any(stop is not None and stop.is_set()) and not last
            validates = bool(config.validation) and (run.step % config.validate_every == 0 or last)
            if run.step % LOG_EVERY == 0 or validates or last or stopped:
                values = window.read() | run.late_terms()
                scores, sheet = validate(run, folder) if validates and leads else (None, None)
                speed = meter.read()
                row = {"learning_rate": rate, **speed.columns()}
                row |= scores.columns() if scores is not None else {}
                for log in logs:
                    log.write(run.step, values | row, sheet)
                notify(values, speed, scores)
            elif run.step == first:
                notify(values, meter.overall, None)
            if leads and (run.step % config.checkpoint_every == 0 or last or stopped):
                save_checkpoint(folder, capture(run))
            if stopped:
                raise TrainingStoppedError(
                    f"stopped after step {run.step} of {run.steps}, which {folder} holds; "
                    "go on with the same command and --resume"
                )
