"""The other side of an adversarial training, with its optimiser.

Two kinds. Pix2Pix's PatchGAN (Isola et al. 2017, arXiv 1611.07004) judges thermal and colour
pixels by binary cross-entropy, half its loss from real and half from translated patches. The
projected one (`ladle_rt.models.projected`) judges frozen features by the hinge loss and offers
its inner features for matching (Salimans et al. 2016; Wang et al. 2018).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from ladle_rt.models.patchgan import PatchDiscriminator
from ladle_rt.models.projected import DiscriminatorOutput, ProjectedDiscriminator

logger = logging.getLogger("ladle_rt")

PATIENCE = 300
"""Steps over which a discriminator's loss is averaged before it counts."""
WON = 0.1
"""Share of an undecided discriminator's loss below which it has won."""


class DiscriminatorInputs(NamedTuple):
    """A discriminator's input: pictures as pixels or as features, real and fake, and their
    thermal."""

    fake: Any
    """Tensor [N,3,H,W], or list of features; gradients reach the network."""
    real: Any
    thermal: Tensor
    """[N,1,H,W] in [0,1]."""
    whole: Tensor
    """[N]: 1 for a scene, 0 for a mosaic, which is nobody's idea of a real picture."""
    unpaired: Any = None
    """As ``fake``, of frames without a truth; None where there are none."""


class Adversary(nn.Module, ABC):
    """A discriminator that trains itself.

    Args:
        discriminator: the network.
        rate: its learning rate.
        betas: of its Adam.
        undecided: its loss when it tells nothing apart.
    """

    def __init__(
        self, discriminator: nn.Module, rate: float, betas: tuple[float, float], undecided: float
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.optimizer = torch.optim.Adam(self._trained(), lr=rate, betas=betas)
        self._undecided = undecided
        self._recent = undecided
        self._updates = 0
        self._warned = False

    @abstractmethod
    def generator_terms(self, inputs: DiscriminatorInputs) -> dict[str, Tensor]:
        """The generator's terms by name, scalars: ``adversarial``, and others that it has."""

    @abstractmethod
    def loss(self, inputs: DiscriminatorInputs) -> Tensor:
        """The discriminator's own loss, a scalar; no gradient may reach the network."""

    def frozen_generator_terms(self, inputs: DiscriminatorInputs) -> dict[str, Tensor]:
        """`generator_terms`, with no gradient to the discriminator's weights."""
        self._let_train(False)
        return self.generator_terms(inputs)

    def update(self, inputs: DiscriminatorInputs) -> Tensor:
        """One step of the discriminator; gradients are averaged over processes.

        Returns:
            Its loss as a detached scalar.
        """
        self._let_train(True)
        loss = self.loss(inputs)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if distributed.is_available() and distributed.is_initialized():
            for gradient in (parameter.grad for parameter in self._trained()):
                if gradient is not None:
                    distributed.all_reduce(gradient)
                    gradient.div_(distributed.get_world_size())
        self.optimizer.step()
        self._watch(float(loss.detach()))
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Weights and optimiser, for a checkpoint."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "recent": self._recent,
            "updates": self._updates,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._recent, self._updates = state["recent"], state["updates"]

    def _trained(self) -> list[nn.Parameter]:
        # The fixed mixtures never are; the rest may be switched off while the network learns.
        fixed: set[int] = getattr(self.discriminator, "fixed_parameters", set)()
        return [p for p in self.discriminator.parameters() if id(p) not in fixed]

    def _let_train(self, on: bool) -> None:
        for parameter in self._trained():
            parameter.requires_grad_(on)

    def _watch(self, loss: float) -> None:
        self._updates += 1
        self._recent += (loss - self._recent) / min(self._updates, PATIENCE)
        won = self._recent < WON * self._undecided
        if won and self._updates >= PATIENCE and not self._warned:
            self._warned = True
            logger.warning(
                "the discriminator has won (loss %.3g over %d steps, %.3g undecided): the "
                "adversarial term teaches nothing now; start again with a lower discriminator_rate "
                "or more data",
                *(self._recent, PATIENCE, self._undecided),
            )


class PatchAdversary(Adversary):
    """Pix2Pix's."""

    def __init__(self, rate: float) -> None:
        network = PatchDiscriminator(inputs=4, width=64, layers=3)
        super().__init__(network, rate, (0.5, 0.999), undecided=0.6931)

    def generator_terms(self, inputs: DiscriminatorInputs) -> dict[str, Tensor]:
        """See `Adversary.generator_terms`."""
        return {"adversarial": _entropy(self.discriminator(inputs.thermal, inputs.fake), real=True)}

    def loss(self, inputs: DiscriminatorInputs) -> Tensor:
        """See `Adversary.loss`."""
        real = _entropy(self.discriminator(inputs.thermal, inputs.real), real=True)
        fake = inputs.fake.detach()
        return (real + _entropy(self.discriminator(inputs.thermal, fake), real=False)) / 2


class ProjectedAdversary(Adversary):
    """Of frozen features.

    Args:
        channels: of the features, finest first.
        rate: learning rate.
    """

    def __init__(self, channels: tuple[int, ...], rate: float) -> None:
        super().__init__(ProjectedDiscriminator(channels), rate, (0.0, 0.99), undecided=2.0)

    def generator_terms(self, inputs: DiscriminatorInputs) -> dict[str, Tensor]:
        """See `Adversary.generator_terms`; ``feature_matching`` too."""
        fake: list[DiscriminatorOutput] = self.discriminator(inputs.fake, inputs.thermal)
        with torch.no_grad():
            real: list[DiscriminatorOutput] = self.discriminator(inputs.real, inputs.thermal)
        matching = [
            l1_loss(mine, theirs)
            for one, other in zip(fake, real, strict=True)
            for mine, theirs in zip(one.features, other.features, strict=True)
        ]
        scores = [-_mean(one.logits, inputs.whole) for one in fake]
        terms = {
            "adversarial": torch.stack(scores).mean(),
            "feature_matching": torch.stack(matching).mean(),
        }
        if inputs.unpaired is not None:
            untold = self._untold(inputs.unpaired)
            terms["unpaired"] = torch.stack([-one.logits.mean() for one in untold]).mean()
        return terms

    def loss(self, inputs: DiscriminatorInputs) -> Tensor:
        """See `Adversary.loss`."""
        fake = [feature.detach() for feature in inputs.fake]
        fakes: list[DiscriminatorOutput] = self.discriminator(fake, inputs.thermal)
        reals: list[DiscriminatorOutput] = self.discriminator(inputs.real, inputs.thermal)
        hinges = [
            _mean(torch.relu(1 - real.logits) + torch.relu(1 + fake.logits), inputs.whole)
            for real, fake in zip(reals, fakes, strict=True)
        ]
        loss = torch.stack(hinges).mean()
        if inputs.unpaired is not None:
            fakes = self._untold([feature.detach() for feature in inputs.unpaired])
            reals = self._untold(inputs.real)
            hinges = [
                _mean(torch.relu(1 - real.logits), inputs.whole)
                + torch.relu(1 + fake.logits).mean()
                for real, fake in zip(reals, fakes, strict=True)
            ]
            loss = (loss + torch.stack(hinges).mean()) / 2
        return loss

    def _untold(self, features: list[Tensor]) -> list[DiscriminatorOutput]:
        """The discriminator without the thermal frame, which would give the camera away."""
        nothing = torch.zeros_like(features[0][:, :1])
        judged: list[DiscriminatorOutput] = self.discriminator(features, nothing)
        return judged


def _mean(values: Tensor, whole: Tensor) -> Tensor:
    """Mean over the scenes of a batch, 0 where it has none."""
    return (values.mean((1, 2, 3)) * whole).sum() / whole.sum().clamp(min=1)


def _entropy(logits: Tensor, *, real: bool) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
