"""What a network is trained towards: truth, a teacher's output, a discriminator's judgement.

    loss.TranslationLoss(output, truth)
        + distill * (L1 + 1 - SSIM of output against the teacher's)
        + adversarial * BCE(D(thermal, output), real)
        + consistency * L1(output, output for other sensor noise on the same frames)

The teacher's output is compared as images, by L1 and by SSIM for structure, as online
multi-granularity distillation does (Ren et al. 2021, arXiv 2108.06908); their feature terms
need networks of one family, while any model of this program may teach here. The discriminator
is Pix2Pix's (Isola et al. 2017, arXiv 1611.07004): a 70x70 PatchGAN on thermal and colour,
binary cross-entropy, half its loss from real and half from translated patches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from ladle_rt.errors import ConfigError
from ladle_rt.models.weights import load_model
from ladle_rt.training.config import TrainConfig
from ladle_rt.training.loss import TranslationLoss
from ladle_rt.training.ms_ssim import ssim_and_ms_ssim

TERMS = (
    "l1",
    "l2",
    "ssim",
    "ms_ssim",
    "chroma",
    "saturation",
    "distill",
    "adversarial",
    "discriminator",
    "consistency",
)
"""Names of all terms that an `Objective` may report; one with weight 0 may be missing."""
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Objective(nn.Module):
    """The training objective of one run.

    Move it to the device of the network. It computes in fp32 whatever the precision of the
    network's output; only the teacher follows the run's ``precision``.

    Raises:
        ConfigError: the teacher expects another thermal normalisation or other sizes.
        ModelError: the teacher's files are missing, damaged or do not belong together.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.loss = TranslationLoss(config.loss)
        self.teacher = _load_teacher(config)
        self._autocast = _AUTOCAST.get(config.precision)
        self.discriminator: nn.Module | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        if config.loss.adversarial > 0:
            self.discriminator = _build_discriminator(config.seed)
            self.optimizer = torch.optim.Adam(
                self.discriminator.parameters(), lr=config.learning_rate, betas=(0.5, 0.999)
            )

    def train(self, mode: bool = True) -> Objective:
        """As `nn.Module.train`; the teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(
        self, thermal: Tensor, output: Tensor, truth: Tensor, again: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator's loss.

        Args:
            thermal: float32 [N,1,H,W] in [0,1], what the network saw.
            output: float [N,3,H,W], RGB in [0,1], of the network.
            truth: float32 [N,3,H,W], RGB in [0,1].
            again: the network's output for the same frames under another draw of
                `noise.sensor_noise`, where the loss asks for consistency.

        Returns:
            The scalar loss, and its unweighted terms as detached scalars.
        """
        with torch.autocast(output.device.type, enabled=False):
            output = output.float()
            loss, terms = self.loss(output, truth)
            weights = self.loss.config
            if self.teacher is not None:
                taught = self._teach(thermal)
                ssim, _ = ssim_and_ms_ssim(output, taught)
                distill = l1_loss(output, taught) + 1 - ssim
                terms["distill"] = distill.detach()
                loss = loss + weights.distill * distill
            if self.discriminator is not None:
                # Its own gradients come from `update` alone.
                self.discriminator.requires_grad_(False)
                adversarial = _judge(self.discriminator(thermal, output), real=True)
                terms["adversarial"] = adversarial.detach()
                loss = loss + weights.adversarial * adversarial
            if again is not None:
                consistency = l1_loss(output, again.float())
                terms["consistency"] = consistency.detach()
                loss = loss + weights.consistency * consistency
        return loss, terms

    def update(self, thermal: Tensor, output: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Train the discriminator on a batch, after the generator's step.

        Takes the tensors of `forward`; no gradient reaches the generator. Gradients are
        averaged over processes where there are several.

        Returns:
            The discriminator's loss as a detached scalar; empty without a discriminator.
        """
        if self.discriminator is None or self.optimizer is None:
            return {}
        self.discriminator.requires_grad_(True)
        with torch.autocast(output.device.type, enabled=False):
            real = _judge(self.discriminator(thermal, truth), real=True)
            translated = _judge(self.discriminator(thermal, output.detach().float()), real=False)
            loss = (real + translated) / 2
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
        if distributed.is_available() and distributed.is_initialized():
            for gradient in (parameter.grad for parameter in self.discriminator.parameters()):
                if gradient is not None:
                    distributed.all_reduce(gradient)
                    gradient.div_(distributed.get_world_size())
        self.optimizer.step()
        return {"discriminator": loss.detach()}

    def state(self) -> dict[str, Any]:
        """The discriminator and its optimiser, for a checkpoint; empty without one."""
        if self.discriminator is None or self.optimizer is None:
            return {}
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        if self.discriminator is not None and self.optimizer is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            self.optimizer.load_state_dict(state["optimizer"])

    def _teach(self, thermal: Tensor) -> Tensor:
        assert self.teacher is not None
        with (
            torch.no_grad(),
            torch.autocast(
                thermal.device.type, dtype=self._autocast, enabled=self._autocast is not None
            ),
        ):
            taught: Tensor = self.teacher(thermal)
        return taught.float()


def _judge(logits: Tensor, *, real: bool) -> Tensor:
    target = torch.full_like(logits, float(real))
    return binary_cross_entropy_with_logits(logits, target)


def _build_discriminator(seed: int) -> nn.Module:
    from ladle_rt.models.patchgan import PatchDiscriminator

    # The same weights in every process, and the generator's random numbers left as they are.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        discriminator: nn.Module = PatchDiscriminator(inputs=4, width=64, layers=3)
    return discriminator


def _load_teacher(config: TrainConfig) -> nn.Module | None:
    if config.teacher is None:
        return None
    teacher, info = load_model(config.teacher)
    if info.thermal != config.thermal:
        raise ConfigError(
            f"teacher {config.teacher} expects the thermal normalisation {info.thermal}, received "
            f"{config.thermal}; set [thermal] to the teacher's"
        )
    if any(side % info.size_multiple for side in config.crop):
        raise ConfigError(
            f"teacher {config.teacher} expects crop sides divisible by {info.size_multiple}, "
            f"received {config.crop[0]}x{config.crop[1]}; change crop"
        )
    return teacher.requires_grad_(False)
