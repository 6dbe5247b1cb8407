"""What a network is trained towards: truth, a teacher's output, a discriminator's judgement.

    loss.TranslationLoss(output, truth)
        + perceptual * distance of frozen image features
        + distill * (L1 + 1 - SSIM of output against the teacher's)
        + ramp * (adversarial * fool(D) + feature_matching * L1 of D's inner features)
        + consistency * L1(output, output for other sensor noise on the same frames)
        + stability * L1(output of a moment later, output moved along)
        + semantics * cross-entropy of the Handle's categories against label maps

The teacher's output is compared as images, by L1 and by SSIM for structure, as online
multi-granularity distillation does (Ren et al. 2021, arXiv 2108.06908); their feature terms
need networks of one family, while any model of this program may teach here. The discriminators
are those of `adversary`; while a projected one plays, both it and the perceptual term see the
pictures through `differentiable.Change`.
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
from ladle_rt.models.features import CHANNELS, ImageFeatures, perceptual_distance
from ladle_rt.models.weights import load_model
from ladle_rt.training.adversary import Adversary, PatchAdversary, ProjectedAdversary, Views
from ladle_rt.training.config import TrainConfig
from ladle_rt.training.differentiable import Change
from ladle_rt.training.loss import TranslationLoss
from ladle_rt.training.ms_ssim import ssim_and_ms_ssim
from ladle_rt.training.phases import Moment
from ladle_rt.training.samples import Sample
from ladle_rt.training.stability import instability

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
)
"""Names of all terms that an `Objective` may report; one with weight 0 may be missing."""
JUDGED = slice(1, None)
"""The scales of image features that a projected discriminator judges: the finest costs most."""
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Painted:
    """What the network made of a batch."""

    output: Tensor
    """float [N,3,H,W], RGB in [0,1]."""
    logits: Tensor | None = None
    """float [N,19,h,w]: the Handle's classes, where the network has them."""
    again: Tensor | None = None
    """The output for the same frames under another draw of `noise.sensor_noise`."""
    later: Tensor | None = None
    """The output for `stability.moment_later` of the first frames of the batch."""
    shift: tuple[int, int] = (0, 0)
    """What those frames moved by."""


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
        self._views: Views | None = None

    def train(self, mode: bool = True) -> Objective:
        """As `nn.Module.train`; the teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(
        self, batch: Sample, painted: Painted, moment: Moment
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The network's loss.

        Args:
            batch: what it saw, and the truth.
            painted: what it made of it.
            moment: of the step: its phase says which terms count.

        Returns:
            The scalar loss, and its unweighted terms as detached scalars.
        """
        weights = self.loss.config
        with torch.autocast(painted.output.device.type, enabled=False):
            output = painted.output.float()
            loss, terms = self.loss(output, batch.visible, moment.phase.pixel)
            found: dict[str, Tensor] = {}
            if self.teacher is not None:
                taught = self._teach(batch.thermal)
                ssim, _ = ssim_and_ms_ssim(output, taught)
                found["distill"] = l1_loss(output, taught) + 1 - ssim
            if painted.again is not None:
                found["consistency"] = l1_loss(output, painted.again.float())
            if painted.later is not None:
                now = output[: len(painted.later)]
                found["stability"] = instability(now, painted.later.float(), painted.shift)
            if weights.semantics > 0 and painted.logits is not None:
                found["semantics"] = _semantics(painted.logits.float(), batch.labels)
            plays = self.adversary is not None and moment.ramp > 0
            views = self.look(batch, output, plays) if plays or weights.perceptual > 0 else None
            if views is not None and weights.perceptual > 0:
                found["perceptual"] = perceptual_distance(views.painted, views.true)
            if self.adversary is not None and views is not None and plays:
                fooled = self.adversary.judge_for_network(_judged(views))
                loss = loss + sum(
                    moment.ramp * getattr(weights, name) * term for name, term in fooled.items()
                )
                terms |= {name: term.detach() for name, term in fooled.items()}
            for name, term in found.items():
                loss = loss + getattr(weights, name) * term
                terms[name] = term.detach()
        return loss, terms

    def update(self) -> dict[str, Tensor]:
        """Train the discriminator on the batch of the last `forward` or `look`.

        Returns:
            The discriminator's loss as a detached scalar; empty where none is playing.
        """
        views, self._views = self._views, None
        if self.adversary is None or views is None:
            return {}
        with torch.autocast(views.thermal.device.type, enabled=False):
            return {"discriminator": self.adversary.update(_judged(views))}

    def look(self, batch: Sample, output: Tensor, judged: bool) -> Views:
        """The pictures as they are compared and judged, kept for `update` if ``judged``."""
        painted, true, thermal = output.float(), batch.visible, batch.thermal
        if self.features is None:
            views = Views(painted, true, thermal, torch.ones_like(batch.whole))
        else:
            if judged:
                change = Change(len(output), output.device)
                painted, true = change.colour(painted), change.colour(true)
                thermal = change.place(thermal)
            with torch.no_grad():
                true_features = self.features(true)
            views = Views(self.features(painted), true_features, thermal, batch.whole)
        if judged:
            self._views = views
        return views

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


def _judged(views: Views) -> Views:
    """What of it a discriminator sees: pixels, or all but the finest features."""
    if isinstance(views.painted, Tensor):
        return views
    return views._replace(painted=views.painted[JUDGED], true=views.true[JUDGED])


def _semantics(logits: Tensor, labels: Tensor) -> Tensor:
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
            return ProjectedAdversary(CHANNELS[JUDGED], rate)
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
