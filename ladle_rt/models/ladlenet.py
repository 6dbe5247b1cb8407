"""LadleNet: a Handle U-Net followed by a Bowl U-Net (arXiv 2308.06603).

The Handle turns thermal into an intermediate semantic image, the Bowl turns that into colour.
Differences from the published code, each on purpose:

* the convolutions that fuse Handle features into the Bowl are learned (see `blocks.UNet`);
* the output is a sigmoid, bounded to (0, 1), instead of an unbounded LeakyReLU;
* one thermal channel enters; ``repeat_input`` makes three of it for the paper's preset;
* compact presets fold 2x2 pixels into channels at the input and back at the output
  (pixel-unshuffle / -shuffle), so that the full-resolution layers cost a quarter, and give
  the last layers the thermal image itself for sharp edges.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ladle_rt.errors import ConfigError
from ladle_rt.models.blocks import Fold, UNet, colour, refinement


@dataclass(frozen=True, slots=True)
class LadleNetConfig:
    """Shape of a LadleNet."""

    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Width of each level, finest first; one pooling per level."""
    handle_channels: int = 3
    """Channels of the intermediate image between Handle and Bowl."""
    encoder_convs: int = 2
    """3x3 convolutions per encoder level, at least 1."""
    fuse_kernel: int = 3
    """Kernel of the convolutions that fuse Handle features into the Bowl, 1 or 3."""
    fold: int = 1
    """Side of the pixel block folded into channels at the input, 1 or 2."""
    repeat_input: bool = False
    """Feed the thermal channel three times, as the published code does."""
    refine_channels: int = 0
    """Width of the full-resolution refinement that sees the thermal image; 0 leaves it out."""
    skips: bool = True
    """Fuse the Handle's decoder features into the Bowl, as published."""

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise ConfigError(f"channels must be positive, received {self.channels}")
        if self.encoder_convs < 1:
            raise ConfigError(f"encoder_convs must be >= 1, received {self.encoder_convs}")
        if self.fuse_kernel not in (1, 3):
            raise ConfigError(f"fuse_kernel must be 1 or 3, received {self.fuse_kernel}")
        if self.fold not in (1, 2):
            raise ConfigError(f"fold must be 1 or 2, received {self.fold}")
        if self.handle_channels < 1 or self.refine_channels < 0:
            raise ConfigError(
                "handle_channels must be >= 1 and refine_channels >= 0, "
                f"received {self.handle_channels} and {self.refine_channels}"
            )

    @property
    def size_multiple(self) -> int:
        """Input sides must be divisible by this."""
        return int(self.fold * 2 ** len(self.channels))

    @classmethod
    def of_width(cls, width: int, levels: int = 5) -> LadleNetConfig:
        """The published plan with another base width: width, 2 width, 4 width, ...

        Raises:
            ConfigError: width or levels below 1.
        """
        if width < 1 or levels < 1:
            raise ConfigError(f"width and levels must be >= 1, received {width} and {levels}")
        return cls(channels=tuple(width * 2**level for level in range(levels)))


class LadleNet(nn.Module):
    """Two-stage thermal-to-colour network."""

    def __init__(self, config: LadleNetConfig) -> None:
        super().__init__()
        self.config = config
        folded = config.fold**2
        inputs = (3 if config.repeat_input else 1) * folded
        first = config.channels[0]
        self.fold = Fold(config.fold, inputs // folded)
        self.handle = UNet(inputs, config.channels, config.encoder_convs)
        self.handle_out = nn.Conv2d(first, config.handle_channels, 1)
        self.bowl = UNet(
            config.handle_channels,
            config.channels,
            config.encoder_convs,
            config.channels if config.skips else (),
            config.fuse_kernel,
        )
        self.bowl_out = nn.Conv2d(first, 3 * folded, 1)
        self.refine = refinement(config.refine_channels)

    def forward(self, thermal: Tensor) -> Tensor:
        """Translate a batch.

        Args:
            thermal: float [N,1,H,W] in [0,1], H and W divisible by ``config.size_multiple``.

        Returns:
            float [N,3,H,W], RGB in (0,1).
        """
        x = thermal.repeat(1, 3, 1, 1) if self.config.repeat_input else thermal
        features = self.handle(self.fold(x))
        image = self.handle_out(features.levels[0])
        bowl = self.bowl(image, *(features if self.config.skips else ()))
        return colour(self.bowl_out(bowl.levels[0]), thermal, self.config.fold, self.refine)
