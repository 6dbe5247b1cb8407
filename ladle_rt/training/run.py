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
from ladle_rt.models.ladlenet_plus import LadleNetPlus
from ladle_rt.models.listing import count_macs
from ladle_rt.models.registry import build, config_to_dict, preset_config
from ladle_rt.models.weights import inherit, load_model, save_model
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
from ladle_rt.training.noise import sensor_noise
from ladle_rt.training.objective import Objective, Painted
from ladle_rt.training.phases import Moment, locate, one_cycle
from ladle_rt.training.samples import MixedSamples, Sample
from ladle_rt.training.stability import moment_later
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
        self.phases = config.parts
        if config.epochs is not None:
            self.phases = (replace(self.phases[0], steps=self.steps),)
        self.samples = samples
        self.processes = processes
        self.model_config = preset_config(config.architecture, config.preset)
        multiple = self.model_config.size_multiple
        for size in (config.crop, *config.sizes):
            if any(side % multiple for side in size):
                raise ConfigError(
                    f"crop sides must be divisible by {multiple} for {config.architecture} "
                    f"{config.preset}, received {size[0]}x{size[1]}"
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
        if state is None and config.init is not None and processes.leads:
            _start_from(self.model, config)
        # Channels last: a third off the step time on CPUs, and what tensor cores want.
        self.model.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective.to(processes.device)
        if processes.count > 1:
            synchronise_norms(self.objective, processes.device)
        self.network = processes.parallel(Painter(self.model))
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
            self.validator = Validator(self.samples.validation, config)

    @property
    def averaged(self) -> nn.Module:
        """The network that is validated and exported."""
        return self.average.model if self.average is not None else self.model

    @property
    def moment(self) -> Moment:
        """Where the next step lies."""
        return locate(self.phases, self.step)

    def learning_rate(self, step: int) -> float:
        """Of the network in the step that follows ``step`` others."""
        if self.config.schedule == "constant":
            return self.config.learning_rate
        moment = locate(self.phases, step)
        phase = moment.phase
        assert phase.warmup is not None and phase.learning_rate is not None
        return one_cycle(moment.step, phase.steps, phase.warmup, phase.learning_rate)

    def advance(self, batch: Sample) -> dict[str, float]:
        """One optimiser step, of the network or of what the phase trains.

        Args:
            batch: this process's part of it.

        Returns:
            Loss, its terms and the gradient norm by name, of the whole batch.

        Raises:
            TrainingError: one of them is not finite; the weights are those before the step.
        """
        device = self.processes.device
        batch = Sample(*(tensor.to(device, non_blocking=True) for tensor in batch))
        # Dropout's masks depend on seed and step alone, so that resuming repeats them.
        torch.manual_seed(_mix(self.config.seed, self.step, self.processes.rank))
        self.model.train()
        self.objective.train()
        moment = self.moment
        if moment.phase.kind == "discriminator":
            return self._advance_discriminator(batch)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * self.learning_rate(self.step)
        loss, terms = self.objective(batch, self._paint(batch), moment)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        if self.config.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        values = self._read({"loss": loss.detach(), **terms})
        if is_finite(values.values()):
            self.overflows = 0
            self.scaler.step(self.optimizer)
            self._late = self.objective.update()
            if self.average is not None:
                self.average.update(self.model, self.step)
        else:
            self.overflows += 1
            if not self.scaler.is_enabled() or self.overflows >= OVERFLOWS_IN_A_ROW:
                indices = self.samples.indices(self.step)
                raise refuse_step(self.step + 1, values, self.samples, indices)
        self.scaler.update()
        self.step += 1
        return values

    def _paint(self, batch: Sample) -> Painted:
        """Run the network, twice over some frames where the loss asks for it."""
        weights, dtype = self.config.loss, _AUTOCAST[self.config.precision]
        thermal, rows = batch.thermal, batch.rows
        count, shift = len(thermal), (0, 0)
        repeats = weights.consistency > 0
        moves = weights.stability > 0 and self.step % weights.stability_every == 0
        if repeats:
            thermal = torch.cat([sensor_noise(thermal), sensor_noise(thermal)])
            rows = torch.cat([rows, rows])
        if moves:
            some = -(-count // 2)
            later, shift = moment_later(batch.thermal[:some])
            thermal, rows = torch.cat([thermal, later]), torch.cat([rows, batch.rows[:some]])
        device = self.processes.device.type
        with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
            rgb, logits = self.network(thermal, rows)
        return Painted(
            output=rgb[:count],
            logits=None if logits is None else logits[:count],
            again=rgb[count : 2 * count] if repeats else None,
            later=rgb[-some:] if moves else None,
            shift=shift,
        )

    def _advance_discriminator(self, batch: Sample) -> dict[str, float]:
        """One step of the discriminator alone; the network paints as it would be exported."""
        self.model.eval()
        with torch.no_grad():
            self.objective.look(batch, self.network(batch.thermal, batch.rows)[0], judged=True)
        terms = self.objective.update()
        means = self.processes.mean(torch.stack(list(terms.values())))
        values = dict(zip(terms, means.tolist(), strict=True))
        values["loss"] = values["discriminator"]
        if not is_finite(values.values()):
            indices = self.samples.indices(self.step)
            raise refuse_step(self.step + 1, values, self.samples, indices)
        self._late = {}
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
        features = self.objective.features if self.config.loss.perceptual > 0 else None
        scores, shown = self.validator(self.averaged, features)
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
            metrics["validation"] = {"step": self.step, **scores.rounded()}
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
            look=config.look,
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


class Painter(nn.Module):
    """A network as a step runs it: the picture, and the logits of a Handle where it has one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, thermal: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """[N,1,H,W] and the `Sample.rows` of each to [N,3,H,W] and logits."""
        if isinstance(self.model, LadleNetPlus):
            logits, rgb = self.model.see_and_paint(thermal, rows)
            return rgb, logits
        return self.model(thermal), None


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


def _start_from(model: nn.Module, config: TrainConfig) -> None:
    """Take what fits of another model's weights, and say what does not."""
    assert config.init is not None
    source, info = load_model(config.init)
    if info.architecture != config.architecture or info.thermal != config.thermal:
        raise ConfigError(
            f"init {config.init} must be a {config.architecture} with the run's thermal "
            f"normalisation, received a {info.architecture} with {info.thermal}"
        )
    fresh = inherit(model, source.state_dict())
    if fresh:
        logger.warning(
            "%s: %d tensors start afresh, first %s", config.init.name, len(fresh), fresh[0]
        )


def _load_handle(model: nn.Module, source: str) -> None:
    from ladle_rt.models.handles.pretrained import load_handle_weights

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
