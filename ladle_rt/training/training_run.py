"""The moving parts of one training, and what a step does with them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ladle_rt.errors import ConfigError
from ladle_rt.models.listing import count_macs
from ladle_rt.models.registry import preset_config
from ladle_rt.training.distributed import Processes
from ladle_rt.training.history import planned
from ladle_rt.training.network_setup import (
    NetworkWithLogits,
    averaged,
    build_network,
    build_optimizer,
    load_starting_weights,
)
from ladle_rt.training.noise import sensor_noise
from ladle_rt.training.objective import Objective, TranslatedBatch
from ladle_rt.training.phases import PhasePosition, locate, one_cycle
from ladle_rt.training.run_failures import OVERFLOWS_IN_A_ROW, is_finite, refuse_step
from ladle_rt.training.sample_tensors import Sample
from ladle_rt.training.samples import MixedSamples
from ladle_rt.training.stability import later_frames
from ladle_rt.training.sync_norm import synchronise_norms
from ladle_rt.training.train_config import MIN_CROP, TrainConfig
from ladle_rt.training.validate import ValidationScores, Validator

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
        self.model = build_network(config, self.model_config)
        self.macs = count_macs(self.model.eval(), config.crop)
        self.objective = Objective(config)

    def start(self, fresh: bool = True) -> None:
        """Move to the device and stand before the first step.

        To be called once, by all processes.

        Args:
            fresh: load the weights that the configuration starts from; off where a checkpoint
                is restored next.

        Raises:
            ConfigError: weights to start from that do not fit the network.
        """
        config, processes = self.config, self.processes
        if processes.device.type == "cuda":
            # All batches have one size.
            torch.backends.cudnn.benchmark = True
        if fresh and processes.leads:
            load_starting_weights(self.model, config)
        # Channels last: a third off the step time on CPUs, and what tensor cores want.
        self.model.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective.to(processes.device)
        if processes.count > 1:
            synchronise_norms(self.objective, processes.device)
        self.network = processes.parallel(NetworkWithLogits(self.model))
        self.average = averaged(self.model, config.ema) if config.ema else None
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = build_optimizer(config, self.model)
        self.scaler = torch.amp.GradScaler(
            processes.device.type, enabled=config.precision == "fp16"
        )
        self.step = 0
        self.best = -math.inf
        self.overflows = 0
        self.last_scores: ValidationScores | None = None
        self._late: dict[str, Tensor] = {}
        self.history = planned(config, self.phases)
        self.validator = None
        if config.validation and processes.leads:
            self.validator = Validator(self.samples.validation, config)

    @property
    def averaged(self) -> nn.Module:
        """The network that is validated and exported."""
        return self.average.module if self.average is not None else self.model

    @property
    def position(self) -> PhasePosition:
        """Where the next step lies."""
        return locate(self.phases, self.step)

    def learning_rate(self, step: int) -> float:
        """Of the network in the step that follows ``step`` others."""
        if self.config.schedule == "constant":
            return self.config.learning_rate
        position = locate(self.phases, step)
        phase = position.phase
        assert phase.warmup is not None and phase.learning_rate is not None
        return one_cycle(position.step, phase.steps, phase.warmup, phase.learning_rate)

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
        torch.manual_seed(mixed_seed(self.config.seed, self.step, self.processes.rank))
        self.model.train()
        self.objective.train()
        position = self.position
        if position.phase.kind == "discriminator":
            return self._advance_discriminator(batch)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * self.learning_rate(self.step)
        loss, terms = self.objective(batch, self._translate(batch), position)
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
                self.average.update_parameters(self.model)
        else:
            self.overflows += 1
            if not self.scaler.is_enabled() or self.overflows >= OVERFLOWS_IN_A_ROW:
                indices = self.samples.indices(self.step)
                raise refuse_step(self.step + 1, values, self.samples, indices)
        self.scaler.update()
        self.step += 1
        return values

    def _translate(self, batch: Sample) -> TranslatedBatch:
        """Run the network, twice over some frames and on others where the loss asks for it."""
        weights, dtype = self.config.loss, _AUTOCAST[self.config.precision]
        thermal, rows = batch.thermal, batch.rows
        count, shift = len(thermal), (0, 0)
        half = -(-count // 2)
        # A discriminator alone asks for neither.
        learns = self.position.phase.kind != "discriminator"
        repeats = learns and weights.consistency > 0
        moves = learns and weights.stability > 0 and self.step % weights.stability_every == 0
        if repeats:
            thermal = torch.cat([sensor_noise(thermal), sensor_noise(thermal)])
            rows = torch.cat([rows, rows])
        if moves:
            later, shift = later_frames(batch.thermal[:half])
            thermal, rows = torch.cat([thermal, later]), torch.cat([rows, batch.rows[:half]])
        paired = len(thermal)
        if weights.unpaired > 0 and self.step % 2:
            thermal = torch.cat([thermal, batch.unpaired[:half]])
            rows = torch.cat([rows, batch.unpaired_rows[:half]])
        device = self.processes.device.type
        with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
            rgb, logits = self.network(thermal, rows)
        return TranslatedBatch(
            output=rgb[:count],
            logits=None if logits is None else logits[:count],
            again=rgb[count : 2 * count] if repeats else None,
            later=rgb[paired - half : paired] if moves else None,
            shift=shift,
            unpaired=rgb[paired:] if paired < len(rgb) else None,
        )

    def _advance_discriminator(self, batch: Sample) -> dict[str, float]:
        """One step of the discriminator alone; the network paints as it would be exported."""
        self.model.eval()
        with torch.no_grad():
            translated = self._translate(batch)
            self.objective.discriminator_inputs(
                batch, translated.output, for_discriminator=True, unpaired=translated.unpaired
            )
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


def mixed_seed(*numbers: int) -> int:
    """A seed that no other numbers give, for practical purposes."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
