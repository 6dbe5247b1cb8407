"""The moving parts of one training: what a step does, what is saved, what is published."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import ladle_rt
from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.models.listing import count_macs
from ladle_rt.models.registry import build, config_to_dict, preset_config
from ladle_rt.models.weights import save_model
from ladle_rt.training.average import AveragedWeights
from ladle_rt.training.checkpoint import CHECKPOINT
from ladle_rt.training.config import MIN_CROP, TrainConfig
from ladle_rt.training.distributed import Processes
from ladle_rt.training.folder import changed_settings, dataset_name, identity, publishable
from ladle_rt.training.guard import (
    OVERFLOWS_IN_A_ROW,
    check_finite,
    is_finite,
    refuse_step,
)
from ladle_rt.training.loader import batch_indices
from ladle_rt.training.noise import sensor_noise
from ladle_rt.training.objective import Objective
from ladle_rt.training.samples import MixedSamples, select_pairs
from ladle_rt.training.sync_norm import synchronise_norms
from ladle_rt.training.validate import Scores, Validator

logger = logging.getLogger("ladle_rt")

_AUTOCAST = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Run:
    """Network, averaged weights, objective and optimiser of one training, in one process.

    Arithmetic of ``fp32`` is torch's default: on GPUs convolutions may use TF32, matrix
    products, on which the SSIM terms rely, do not. Checkpoints load on any device; on the CPU a
    resumed run is bit-identical, on GPUs up to the order in which kernels add.

    Raises:
        ConfigError: settings that do not fit the network, the device or each other.
    """

    def __init__(self, config: TrainConfig, samples: MixedSamples, processes: Processes) -> None:
        if config.precision == "fp16" and processes.device.type != "cuda":
            raise ConfigError(
                "precision fp16 needs a CUDA device, received the CPU; use bf16 or fp32"
            )
        self.config = config
        self.steps = samples.steps
        self.samples = samples
        self.processes = processes
        self.model_config = preset_config(config.architecture, config.preset)
        multiple = self.model_config.size_multiple
        if any(side % multiple for side in config.crop):
            raise ConfigError(
                f"crop sides must be divisible by {multiple} for {config.architecture} "
                f"{config.preset}, received {config.crop[0]}x{config.crop[1]}"
            )
        if config.validation and min(config.crop) < MIN_CROP:
            raise ConfigError(
                f"validation scores MS-SSIM on frames of at least {MIN_CROP}x{MIN_CROP}, received "
                f"a crop of {config.crop[0]}x{config.crop[1]}; raise it or leave validation out"
            )
        torch.manual_seed(config.seed)
        self.model = _build_model(config, self.model_config)
        self.macs = count_macs(self.model.eval(), config.crop)
        self.objective = Objective(config)

    def start(self, state: dict[str, Any] | None) -> None:
        """Move to the device and take the first step's state, or a checkpoint's.

        To be called once, by all processes.

        Raises:
            ConfigError: pretrained weights for a network without a Handle.
            ModelError: a checkpoint of another run, network or data.
        """
        config, processes = self.config, self.processes
        if processes.device.type == "cuda":
            # All batches have one size.
            torch.backends.cudnn.benchmark = True
        if state is None and config.handle_weights is not None and processes.leads:
            _load_handle(self.model, config.handle_weights)
        # Channels last: a third off the step time on CPUs, and what tensor cores want.
        self.model.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective.to(processes.device)
        if processes.count > 1:
            synchronise_norms(self.objective, processes.device)
        self.network = processes.parallel(self.model)
        self.average = AveragedWeights(self.model, config.ema) if config.ema else None
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = _build_optimizer(config, _rated(self.model, config.encoder_rate))
        self.scaler = torch.amp.GradScaler(
            processes.device.type, enabled=config.precision == "fp16"
        )
        self.step = 0
        self.best = -math.inf
        self.overflows = 0
        self.last_scores: Scores | None = None
        self._late: dict[str, Tensor] = {}
        if state is not None:
            self._restore(state)
        self.validator = None
        if config.validation and processes.leads:
            self.validator = Validator(select_pairs(config.validation), config)

    @property
    def averaged(self) -> nn.Module:
        """The network that is validated and exported."""
        return self.average.model if self.average is not None else self.model

    def learning_rate(self, step: int) -> float:
        """Of the step that follows ``step`` others."""
        config = self.config
        if config.schedule == "constant":
            return config.learning_rate
        if step < config.warmup:
            return config.learning_rate * (step + 1) / config.warmup
        done = (step - config.warmup) / max(self.steps - config.warmup, 1)
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def advance(self, thermal: Tensor, visible: Tensor) -> dict[str, float]:
        """One optimiser step.

        Args:
            thermal: float32 [N,1,H,W] in [0,1], this process's part of the batch.
            visible: float32 [N,3,H,W], RGB in [0,1].

        Returns:
            Loss, its terms and the gradient norm by name, of the whole batch.

        Raises:
            TrainingError: one of them is not finite; the weights are those before the step.
        """
        config, device = self.config, self.processes.device
        thermal = thermal.to(device, non_blocking=True)
        visible = visible.to(device, non_blocking=True)
        # Dropout's masks depend on seed and step alone, so that resuming repeats them.
        torch.manual_seed(_mix(config.seed, self.step, self.processes.rank))
        self.model.train()
        self.objective.train()
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * self.learning_rate(self.step)
        dtype = _AUTOCAST[config.precision]
        again = None
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            if config.loss.consistency > 0:
                noisy = torch.cat([sensor_noise(thermal), sensor_noise(thermal)])
                output, again = self.network(noisy).chunk(2)
            else:
                output = self.network(thermal)
        loss, terms = self.objective(thermal, output, visible, again)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        values = self._read({"loss": loss.detach(), **terms})
        if is_finite(values.values()):
            self.overflows = 0
            self.scaler.step(self.optimizer)
            self._late = self.objective.update(thermal, output, visible)
            if self.average is not None:
                self.average.update(self.model, self.step)
        else:
            self.overflows += 1
            if not self.scaler.is_enabled() or self.overflows >= OVERFLOWS_IN_A_ROW:
                batch = batch_indices(self.step, config.batch)
                raise refuse_step(self.step + 1, values, self.samples, batch)
        self.scaler.update()
        self.step += 1
        return values

    def late_terms(self) -> dict[str, float]:
        """The discriminator's loss of the last step; to be called by all processes."""
        if not self._late:
            return {}
        means = self.processes.mean(torch.stack(list(self._late.values())))
        return dict(zip(self._late, means.tolist(), strict=True))

    def _read(self, values: dict[str, Tensor]) -> dict[str, float]:
        """Means over the processes, and the norm of the gradients: the step's only wait."""
        means = self.processes.mean(torch.stack(list(values.values())).float())
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        numbers = torch.cat([means, norm.reshape(1).to(means)]).tolist()
        return dict(zip([*values, "grad_norm"], numbers, strict=True))

    def validate(self, folder: Path) -> tuple[Scores, Path]:
        """Score the averaged weights, write a sheet, keep the model if it is the best so far.

        Returns:
            The scores and the sheet's place.

        Raises:
            TrainingError: weights that are not finite.
        """
        assert self.validator is not None
        check_finite(self.averaged.state_dict(), "weights")
        scores, shown = self.validator(self.averaged)
        sheet = folder / f"sheet-{self.step:06d}.png"
        self.validator.write_sheet(sheet, shown)
        self.last_scores = scores
        if scores.choice > self.best:
            self.best = scores.choice
            save_model(folder / "best.safetensors", self.averaged, self.info(scores))
        return scores, sheet

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
        pairs: dict[str, int] = {}
        for path, count in self.samples.counts().items():
            pairs[dataset_name(path)] = pairs.get(dataset_name(path), 0) + count
        return ModelInfo(
            name=f"{config.architecture}-{config.preset}",
            architecture=config.architecture,
            config=config_to_dict(self.model_config),
            thermal=config.thermal,
            train_size=config.crop,
            size_multiple=self.model_config.size_multiple,
            parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            macs=self.macs,
            training={
                "version": ladle_rt.__version__,
                "step": self.step,
                "config": publishable(replace(config, steps=self.steps)),
                "pairs": pairs,
            },
            metrics=metrics,
            onnx_sha256="",
        )

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, on any device and any number of processes.

        Raises:
            TrainingError: weights that are not finite.
        """
        check_finite(self.model.state_dict(), "weights")
        return {
            "step": self.step,
            "best": self.best,
            "scores": None if self.last_scores is None else asdict(self.last_scores),
            "run": identity(self.config),
            "network": config_to_dict(self.model_config),
            "pairs": list(self.samples.counts().values()),
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "objective": self.objective.state(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._check_origin(state)
        try:
            self.step, self.best = state["step"], state["best"]
            if state["scores"] is not None:
                self.last_scores = Scores(**state["scores"])
            self.model.load_state_dict(state["model"])
            if self.average is not None:
                self.average.model.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            self.objective.restore(state["objective"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"{CHECKPOINT}: expected a checkpoint of {self.config.architecture} "
                f"{self.config.preset}, received {str(error).strip().partition(chr(10))[0]}; "
                "delete it to start over"
            ) from error

    def _check_origin(self, state: dict[str, Any]) -> None:
        if changed := changed_settings(state.get("run"), self.config):
            raise ModelError(
                f"{CHECKPOINT} is of a run with other settings ({', '.join(changed)}); "
                "delete it to start over"
            )
        if state.get("network") != config_to_dict(self.model_config):
            raise ModelError(
                f"{CHECKPOINT} is of another {self.config.architecture} {self.config.preset} than "
                "this version builds; delete it to start over"
            )
        counts = list(self.samples.counts().values())
        if state.get("pairs") != counts:
            raise ModelError(
                f"{CHECKPOINT} expects {state.get('pairs')} pairs in the datasets, found {counts}; "
                "bring the data back, or start over in another folder"
            )


def _build_model(config: TrainConfig, model_config: Any) -> nn.Module:
    model = build(config.architecture, model_config)
    wanted = [name for name in ("handle_weights", "freeze_handle") if getattr(config, name)]
    freeze = getattr(model, "freeze_handle", None)
    if wanted and freeze is None:
        raise ConfigError(
            f"{' and '.join(wanted)} need a network with a segmentation Handle (ladlenet-plus), "
            f"received {config.architecture}"
        )
    if config.freeze_handle and freeze is not None:
        freeze()
    return model


def _load_handle(model: nn.Module, source: str) -> None:
    from ladle_rt.models.handle_weights import load_handle_weights

    report = load_handle_weights(model, source)
    for kind in ("missing", "unexpected"):
        if names := list(getattr(report, kind)):
            logger.warning(
                "%s: %d %s tensors: %s", Path(source).name, len(names), kind, ", ".join(names)
            )


def _rated(model: nn.Module, encoder_rate: float) -> list[dict[str, Any]]:
    """The parameters to train in two groups, a Handle's encoder and the rest."""
    encoder: Iterable[nn.Parameter] = getattr(model, "encoder_parameters", tuple)()
    slow = {id(parameter) for parameter in encoder}
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) in slow], "rate": encoder_rate},
        {"params": [p for p in trained if id(p) not in slow], "rate": 1.0},
    ]
    return [group for group in groups if group["params"]]


def _build_optimizer(
    config: TrainConfig, parameters: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    if config.loss.adversarial > 0:
        # Of Pix2Pix: less momentum, since the other side moves too.
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, betas=(0.5, 0.999))
    return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, amsgrad=True)


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
