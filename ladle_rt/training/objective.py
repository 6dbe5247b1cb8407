"""What a network is trained towards: truth, a teacher's output, a discriminator.

    loss.TranslationLoss(output, truth)
        + perceptual * distance of frozen image features
        + distill * (L1 + 1 - SSIM of output against the teacher's)
        + ramp * (adversarial * generator loss of D + feature_matching * L1 of D's inner features)
        + consistency * L1(output, output for other sensor noise on the same frames)
        + stability * L1(output of later frames, output moved along)
        + unpaired * (adversarial and histogram terms of frames without a truth)
        + semantics * cross-entropy of the Handle's categories against label maps

The teacher's output is compared as images, by L1 and by SSIM for structure, as online
multi-granularity distillation does (Ren et al. 2021, arXiv 2108.06908); their feature terms
need networks of one family, while any model of this program may teach here. The discriminators
are those of `adversary`; while a projected one plays, both it and the perceptual term see the
pictures through `differentiable.DiffAugment`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, l1_loss

from ladle_rt.datasets.labels import UNSURE
from ladle_rt.errors import ConfigError
from ladle_rt.models.classes import category_scores
from ladle_rt.models.image_features import CHANNELS, ImageFeatures, perceptual_distance
from ladle_rt.models.weights import load_model
from ladle_rt.training.adversary import (
    Adversary,
    DiscriminatorInputs,
    PatchAdversary,
    ProjectedAdversary,
)
from ladle_rt.training.differentiable import DiffAugment
from ladle_rt.training.loss import TranslationLoss, pooled_histogram_distance
from ladle_rt.training.ms_ssim import ssim_and_ms_ssim
from ladle_rt.training.phases import PhasePosition
from ladle_rt.training.sample_tensors import Sample
from ladle_rt.training.stability import instability
from ladle_rt.training.train_config import TrainConfig

TERMS = (
    "l1",
    "l2",
    "ssim",
    "ms_ssim",
    "chroma",
    "saturation",
    "blurred",
    "moments",
    "histogram",
    "perceptual",
    "distill",
    "adversarial",
    "feature_matching",
    "discriminator",
    "consistency",
    "stability",
    "semantics",
    "unpaired",
    "unpaired_histogram",
)
"""Names of all terms that an `Objective` may report; one with weight 0 may be missing."""
DISCRIMINATOR_SCALES = slice(1, None)
"""The scales of image features that a projected discriminator sees: the finest costs most."""
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class TranslatedBatch:
    """The network's output for a batch."""

    output: Tensor
    """float [N,3,H,W], RGB in [0,1]."""
    logits: Tensor | None = None
    """float [N,19,h,w]: the Handle's classes, where the network has them."""
    again: Tensor | None = None
    """The output for the same frames under another draw of `noise.sensor_noise`."""
    later: Tensor | None = None
    """The output for `stability.later_frames` of the first frames of the batch."""
    shift: tuple[int, int] = (0, 0)
    """What those frames moved by."""
    unpaired: Tensor | None = None
    """The output for frames without a truth, float [M,3,H,W]."""


class Objective(nn.Module):
    """The training objective of one run.

    Move it to the device of the network. It computes in fp32 whatever the precision of the
    network's output; only the teacher follows the run's ``precision``.

    Raises:
        ConfigError: the teacher expects another thermal normalisation or other sizes.
        MissingDependencyError: the frozen features are not installed.
        ModelError: the teacher's files are missing, damaged or do not belong together.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        weights = config.loss
        self.loss = TranslationLoss(weights)
        self.teacher = _load_teacher(config)
        self._autocast = _AUTOCAST.get(config.precision)
        projected = weights.adversarial > 0 and weights.discriminator == "projected"
        self.features = ImageFeatures() if projected or weights.perceptual > 0 else None
        self.adversary = _build_adversary(config) if weights.adversarial > 0 else None
        self._inputs: DiscriminatorInputs | None = None

    def train(self, mode: bool = True) -> Objective:
        """As `nn.Module.train`; the teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(
        self, batch: Sample, translated: TranslatedBatch, position: PhasePosition
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The network's loss.

        Args:
            batch: what it saw, and the truth.
            translated: what it made of it.
            position: of the step: its phase says which terms count.

        Returns:
            The scalar loss, and its unweighted terms as detached scalars.
        """
        weights = self.loss.config
        with torch.autocast(translated.output.device.type, enabled=False):
            output = translated.output.float()
            loss, terms = self.loss(output, batch.visible, position.phase.pixel)
            found: dict[str, Tensor] = {}
            if self.teacher is not None:
                taught = self._teach(batch.thermal)
                ssim, _ = ssim_and_ms_ssim(output, taught)
                found["distill"] = l1_loss(output, taught) + 1 - ssim
            if translated.again is not None:
                found["consistency"] = l1_loss(output, translated.again.float())
            if translated.later is not None:
                now = output[: len(translated.later)]
                found["stability"] = instability(now, translated.later.float(), translated.shift)
            if weights.semantics > 0 and translated.logits is not None:
                found["semantics"] = semantics_loss(translated.logits.float(), batch.labels)
            plays = self.adversary is not None and position.ramp > 0
            inputs = (
                self.discriminator_inputs(batch, output, plays, translated.unpaired)
                if plays or weights.perceptual > 0
                else None
            )
            if inputs is not None and weights.perceptual > 0:
                found["perceptual"] = perceptual_distance(inputs.fake, inputs.real)
            if self.adversary is not None and inputs is not None and plays:
                generator_terms = self.adversary.frozen_generator_terms(
                    _discriminator_scales(inputs)
                )
                factors = {
                    "adversarial": weights.adversarial,
                    "feature_matching": weights.feature_matching,
                    "unpaired": weights.adversarial * weights.unpaired,
                }
                loss = loss + sum(
                    position.ramp * factors[name] * term for name, term in generator_terms.items()
                )
                terms |= {name: term.detach() for name, term in generator_terms.items()}
            if translated.unpaired is not None and weights.histogram > 0:
                tones = pooled_histogram_distance(
                    translated.unpaired.float(), batch.visible[batch.whole > 0]
                )
                loss = loss + weights.unpaired * weights.histogram * tones
                terms["unpaired_histogram"] = tones.detach()
            for name, term in found.items():
                loss = loss + getattr(weights, name) * term
                terms[name] = term.detach()
        return loss, terms

    def update(self) -> dict[str, Tensor]:
        """Train the discriminator on the batch of the last `forward` or `discriminator_inputs`.

        Returns:
            The discriminator's loss as a detached scalar; empty where none is playing.
        """
        inputs, self._inputs = self._inputs, None
        if self.adversary is None or inputs is None:
            return {}
        with torch.autocast(inputs.thermal.device.type, enabled=False):
            return {"discriminator": self.adversary.update(_discriminator_scales(inputs))}

    def discriminator_inputs(
        self,
        batch: Sample,
        output: Tensor,
        for_discriminator: bool,
        unpaired: Tensor | None = None,
    ) -> DiscriminatorInputs:
        """The pictures as they are compared, kept for `update` if ``for_discriminator``."""
        translated, true, thermal = output.float(), batch.visible, batch.thermal
        if self.features is None:
            inputs = DiscriminatorInputs(translated, true, thermal, torch.ones_like(batch.whole))
        else:
            if for_discriminator:
                change = DiffAugment(len(output), output.device)
                translated, true = change.colour(translated), change.colour(true)
                thermal = change.place(thermal)
            with torch.no_grad():
                true_features = self.features(true)
            inputs = DiscriminatorInputs(
                self.features(translated), true_features, thermal, batch.whole
            )
            if for_discriminator and unpaired is not None:
                change = DiffAugment(len(unpaired), output.device)
                inputs = inputs._replace(unpaired=self.features(change.colour(unpaired.float())))
        if for_discriminator:
            self._inputs = inputs
        return inputs

    def state(self) -> dict[str, Any]:
        """The discriminator and its optimiser, for a checkpoint; empty without one."""
        return {} if self.adversary is None else self.adversary.state()

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        if self.adversary is not None:
            self.adversary.restore(state)

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


def _discriminator_scales(inputs: DiscriminatorInputs) -> DiscriminatorInputs:
    """What of it a discriminator sees: pixels, or all but the finest features."""
    if isinstance(inputs.fake, Tensor):
        return inputs
    unpaired = None if inputs.unpaired is None else inputs.unpaired[DISCRIMINATOR_SCALES]
    return inputs._replace(
        fake=inputs.fake[DISCRIMINATOR_SCALES],
        real=inputs.real[DISCRIMINATOR_SCALES],
        unpaired=unpaired,
    )


def semantics_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of categories over the labelled pixels of a batch, 0 where it has none."""
    scores = category_scores(logits)
    if scores.shape[-2:] != labels.shape[-2:]:
        scores = nn.functional.interpolate(
            scores, labels.shape[-2:], mode="bilinear", align_corners=False
        )
    known = (labels != UNSURE).sum().clamp(min=1)
    total = cross_entropy(scores, labels.long(), ignore_index=UNSURE, reduction="sum")
    return total / known


def _build_adversary(config: TrainConfig) -> Adversary:
    rate = config.discriminator_rate or config.learning_rate
    # The same weights in every process, and the network's random numbers left as they are.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.loss.discriminator == "projected":
            return ProjectedAdversary(CHANNELS[DISCRIMINATOR_SCALES], rate)
        return PatchAdversary(rate)


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
