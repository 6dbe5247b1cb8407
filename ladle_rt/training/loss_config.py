"""What a training's loss is made of, checked before anything starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from ladle_rt.errors import ConfigError

Discriminator = Literal["patch", "projected"]


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the loss terms; see `ladle_rt.training.loss`."""

    alpha: float = 0.84
    """Share of 1 - MS-SSIM against L1, in [0, 1]."""
    published: float = 1.0
    """Weight of that mixture of MS-SSIM and L1; 0 leaves it out."""
    l2: float = 0.0
    """Weight of the mean squared difference."""
    ssim: float = 0.0
    """Weight of 1 - SSIM; 0 is the published loss."""
    chroma: float = 0.0
    """Weight of the L1 distance of Cb and Cr; 0 is the published loss."""
    saturation: float = 0.0
    """Weight of the L1 distance of locally averaged chroma magnitude; 0 is the published loss."""
    perceptual: float = 0.0
    """Weight of the distance between frozen features, `ladle_rt.models.image_features`."""
    moments: float = 0.0
    """Weight of the difference of local contrast, whatever the sign of its edges."""
    blurred: float = 0.0
    """Weight of the L1 distance of pictures averaged over 8x8 pixels: tone and colour."""
    histogram: float = 0.0
    """Weight of the distance between the pictures' distributions of luma and chroma."""
    semantics: float = 0.0
    """Weight of the cross-entropy of the Handle's classes against label maps, where there are."""
    adversarial: float = 0.0
    """Weight of the discriminator's term; 0 trains no discriminator."""
    feature_matching: float = 0.0
    """Weight of the L1 distance of a projected discriminator's inner features."""
    discriminator: Discriminator = "patch"
    """``patch`` (Pix2Pix) or ``projected``; see `ladle_rt.training.adversary`."""
    stability: float = 0.0
    """Weight of the difference between a picture and the one of a moment later, moved along."""
    stability_every: int = 2
    """Steps from one stability term to the next; it runs the network on half a batch more."""
    unpaired: float = 0.0
    """Factor on ``adversarial`` and ``histogram`` for frames without a truth, every other step."""
    distill: float = 0.0
    """Weight of the distance to the teacher's output; needs ``teacher``."""
    consistency: float = 0.0
    """Weight of the L1 distance between the outputs for two draws of sensor noise on one frame:
    what follows the noise flickers in video. Doubles the cost of a step."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha must be in [0, 1], received {self.alpha}")
        if self.discriminator not in get_args(Discriminator):
            raise ConfigError(
                f"discriminator must be one of {get_args(Discriminator)}, "
                f"received {self.discriminator!r}"
            )
        if self.stability_every < 1:
            raise ConfigError(f"stability_every must be >= 1, received {self.stability_every}")
        if self.feature_matching > 0 and not (
            self.adversarial > 0 and self.discriminator == "projected"
        ):
            raise ConfigError(
                "feature_matching needs adversarial > 0 and a projected discriminator, received "
                f"{self.adversarial} and {self.discriminator!r}"
            )
        if self.unpaired > 0 and not (self.adversarial > 0 and self.discriminator == "projected"):
            raise ConfigError(
                "unpaired needs adversarial > 0 and a projected discriminator, received "
                f"{self.adversarial} and {self.discriminator!r}"
            )
        settings = ("alpha", "discriminator", "stability_every", "unpaired")
        weights = {name: value for name, value in asdict(self).items() if name not in settings}
        for name, value in weights.items():
            if value < 0:
                raise ConfigError(f"loss weight {name} must be >= 0, received {value}")
        if self.unpaired < 0:
            raise ConfigError(f"loss weight unpaired must be >= 0, received {self.unpaired}")
        if not any(weights.values()):
            raise ConfigError("expected at least one loss term with a weight, received none")
