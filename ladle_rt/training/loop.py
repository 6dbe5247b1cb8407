"""The training loop: deterministic samples, averaged weights, resumable at any step."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

import ladle_rt
from ladle_rt.errors import ConfigError
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.models.listing import count_macs
from ladle_rt.models.registry import build, config_to_dict, preset_config
from ladle_rt.training.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    save_model,
    write_whole,
)
from ladle_rt.training.config import TrainConfig
from ladle_rt.training.log import CsvLog
from ladle_rt.training.loss import TranslationLoss
from ladle_rt.training.samples import MixedSamples, select_pairs
from ladle_rt.training.validate import Scores, Validator

LOG_EVERY = 20
"""Steps between log rows."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a progress display gets at each logged step."""

    step: int
    steps: int
    loss: float
    samples_per_s: float
    eta_s: float
    scores: Scores | None
    """Set on steps that validated."""


def train(
    config: TrainConfig,
    folder: Path,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Run a training to its end.

    Writes into ``folder``: ``config.json``, ``log.csv``, ``checkpoint.pt``, ``sheet-*.png``,
    ``best.safetensors`` + ``best.json`` (highest `Scores.choice` on the validation pairs) and
    ``last.safetensors`` + ``last.json``.

    Args:
        config: the run.
        folder: made if it does not exist.
        resume: go on from the folder's checkpoint; without one, start.
        on_progress: called at every logged step.

    Returns:
        The best model's safetensors, or the last one's where there is no validation set.

    Raises:
        ConfigError: the folder holds another run, or a run and ``resume`` is off.
        DatasetError: a dataset has no usable pairs.
    """
    samples = MixedSamples(config)
    run = _Run(config, samples)
    _claim_folder(folder, config, resume)
    state = load_checkpoint(folder) if resume else None
    if state is not None:
        run.restore(state)
    with CsvLog(folder / "log.csv", run.step) as log:
        clock, clock_step = time.monotonic(), run.step
        for thermal, visible in run.batches():
            loss, terms = run.advance(thermal, visible)
            last = run.step == config.steps
            scores = None
            if run.validator and (run.step % config.validate_every == 0 or last):
                scores = run.validate(folder)
            if run.step % LOG_EVERY == 0 or scores is not None or last:
                elapsed_s = time.monotonic() - clock
                rate = (run.step - clock_step) * config.batch / max(elapsed_s, 1e-9)
                clock, clock_step = time.monotonic(), run.step
                row = {"step": run.step, "loss": loss, **terms, "samples_per_s": rate}
                row["learning_rate"] = float(run.schedule.get_last_lr()[0])
                log.write(row | (scores.columns() if scores is not None else {}))
                if on_progress is not None:
                    eta_s = (config.steps - run.step) * config.batch / max(rate, 1e-9)
                    on_progress(Progress(run.step, config.steps, loss, rate, eta_s, scores))
            if run.step % config.checkpoint_every == 0 or last:
                save_checkpoint(folder, run.state())
    last_path = folder / "last.safetensors"
    save_model(last_path, run.averaged, run.info(run.last_scores))
    best_path = folder / "best.safetensors"
    return best_path if best_path.is_file() else last_path


class _Run:
    """The moving parts of one training."""

    def __init__(self, config: TrainConfig, samples: MixedSamples) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.samples = samples
        self.model_config = preset_config(config.architecture, config.preset)
        multiple = self.model_config.size_multiple
        if any(side % multiple for side in config.crop):
            raise ConfigError(
                f"crop sides must be divisible by {multiple} for {config.architecture} "
                f"{config.preset}, received {config.crop[0]}x{config.crop[1]}"
            )
        # Channels last: a third off the step time on CPUs, and what tensor cores want.
        self.model = build(config.architecture, self.model_config).to(
            memory_format=torch.channels_last
        )
        self.average = AveragedModel(
            self.model, avg_fn=partial(_average, config.ema), use_buffers=True
        )
        self.loss = TranslationLoss(config.loss)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.step = 0
        self.best = -math.inf
        self.last_scores: Scores | None = None
        self.validator = (
            Validator(select_pairs(config.validation), config.crop, config.thermal)
            if config.validation
            else None
        )

    @property
    def averaged(self) -> nn.Module:
        """The averaged network without its wrapper."""
        return self.average.module if self.config.ema else self.model

    def _rate(self, step: int) -> float:
        config = self.config
        if step < config.warmup:
            return (step + 1) / config.warmup
        done = (step - config.warmup) / max(config.steps - config.warmup, 1)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches that remain, in the order that the seed fixes."""
        config = self.config
        loader = DataLoader(
            self.samples,
            batch_size=config.batch,
            sampler=range(self.step * config.batch, config.steps * config.batch),
            num_workers=config.workers,
            worker_init_fn=_single_threaded,
        )
        yield from loader

    def advance(self, thermal: Tensor, visible: Tensor) -> tuple[float, dict[str, float]]:
        """One optimiser step; returns the loss and its terms."""
        self.model.train()
        loss, terms = self.loss(self.model(thermal), visible)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        if self.config.ema:
            self.average.update_parameters(self.model)
        self.step += 1
        return float(loss.detach()), terms

    def validate(self, folder: Path) -> Scores:
        """Score the averaged weights, write a sheet, keep the model if it is the best so far."""
        assert self.validator is not None
        scores, output = self.validator(self.averaged)
        self.validator.write_sheet(folder / f"sheet-{self.step:06d}.png", output)
        self.last_scores = scores
        if scores.choice > self.best:
            self.best = scores.choice
            save_model(folder / "best.safetensors", self.averaged, self.info(scores))
        return scores

    def info(self, scores: Scores | None) -> ModelInfo:
        """What the model's JSON says."""
        config = self.config
        metrics: dict[str, Any] = {}
        if scores is not None:
            metrics["validation"] = {
                "step": self.step,
                "ssim": round(scores.ssim, 4),
                "ms_ssim": round(scores.ms_ssim, 4),
                "psnr_db": round(scores.psnr_db, 2),
            }
        return ModelInfo(
            name=f"{config.architecture}-{config.preset}",
            architecture=config.architecture,
            config=config_to_dict(self.model_config),
            thermal=config.thermal,
            train_size=config.crop,
            size_multiple=self.model_config.size_multiple,
            parameters=sum(parameter.numel() for parameter in self.averaged.parameters()),
            macs=count_macs(self.averaged.eval(), config.crop),
            training={
                "version": ladle_rt.__version__,
                "step": self.step,
                "config": _without_paths(config.to_dict()),
                "pairs": {Path(path).name: count for path, count in self.samples.counts().items()},
            },
            metrics=metrics,
            onnx_sha256="",
        )

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {
            "step": self.step,
            "best": self.best,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.step, self.best = state["step"], state["best"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def _claim_folder(folder: Path, config: TrainConfig, resume: bool) -> None:
    """Make the run's folder, or check that it holds this very run."""
    path = folder / "config.json"
    text = json.dumps(config.to_dict(), indent=2) + "\n"
    if path.is_file():
        if not resume:
            raise ConfigError(
                f"{folder} already holds a run; add --resume to go on, or choose another folder"
            )
        held = json.loads(path.read_text(encoding="utf-8"))
        wanted = json.loads(text)
        changed = sorted(key for key in wanted if held.get(key) != wanted[key])
        if changed:
            raise ConfigError(
                f"{folder} holds a run with other settings ({', '.join(changed)}); "
                "resume with the same ones, or choose another folder"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))


def _without_paths(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration with dataset folders reduced to their names, fit for publication."""
    result = dict(values)
    result["data"] = [{**entry, "path": Path(entry["path"]).name} for entry in values["data"]]
    if values["validation"] is not None:
        result["validation"] = {
            **values["validation"],
            "path": Path(values["validation"]["path"]).name,
        }
    return result


def _average(decay: float, averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """Exponential average whose decay grows from 0.1: early weights are soon forgotten."""
    rate = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
    return averaged + rate * (current - averaged)


def _single_threaded(worker: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
