"""Networks that LadleNet is compared with: its own U-Net alone, and Pix2Pix's generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ladle_rt.errors import ConfigError
from ladle_rt.models.blocks import NEGATIVE_SLOPE, Fold, UNet, colour, refinement


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Shape of a `SingleUNet`."""

    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Width of each level, finest first; one pooling per level."""
    encoder_convs: int = 2
    """3x3 convolutions per encoder level, at least 1."""
    fold: int = 1
    """Side of the pixel block folded into channels at the input, 1 or 2; as in LadleNet."""
    refine_channels: int = 0
    """Width of the full-resolution refinement that sees the thermal image; 0 leaves it out."""

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.encoder_convs < 1:
            raise ConfigError(
                "channels and encoder_convs must be >= 1, "
                f"received {self.channels} and {self.encoder_convs}"
            )
        if self.fold not in (1, 2) or self.refine_channels < 0:
            raise ConfigError(
                "fold must be 1 or 2 and refine_channels >= 0, "
                f"received {self.fold} and {self.refine_channels}"
            )

    @property
    def size_multiple(self) -> int:
        """Input sides must be divisible by this."""
        return int(self.fold * 2 ** len(self.channels))


class SingleUNet(nn.Module):
    """LadleNet's U-Net alone, thermal to colour."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        folded = config.fold**2
        self.fold = Fold(config.fold)
        self.unet = UNet(folded, config.channels, config.encoder_convs)
        self.out = nn.Conv2d(config.channels[0], 3 * folded, 1)
        self.refine = refinement(config.refine_channels)

    def forward(self, thermal: Tensor) -> Tensor:
        """Translate a batch.

        Args:
            thermal: float [N,1,H,W] in [0,1], H and W divisible by the size multiple.

        Returns:
            float [N,3,H,W], RGB in (0,1).
        """
        raw = self.out(self.unet(self.fold(thermal)).levels[0])
        return colour(raw, thermal, self.fold.side, self.refine)


@dataclass(frozen=True, slots=True)
class Pix2PixConfig:
    """Shape of `Pix2PixGenerator`."""

    channels: tuple[int, ...] = (64, 128, 256, 512, 512, 512)
    """Width of each level, finest first; each halves the size. Published: 8 levels at 256x256;
    six are what 192x256 divides by."""
    dropout: float = 0.5
    """Dropout of the three deepest decoder levels in training."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(
                "pix2pix needs at least two positive channels and dropout in [0, 1), "
                f"received {self.channels} and {self.dropout}"
            )

    @property
    def size_multiple(self) -> int:
        """Input sides must be divisible by this."""
        return int(2 ** len(self.channels))


class Pix2PixGenerator(nn.Module):
    """U-Net generator of Isola et al. 2017 (arXiv 1611.07004).

    Nearest-neighbour upsampling and a convolution stand for the published transposed
    convolutions (no checkerboard, INT8-friendly), a sigmoid for tanh. Translating is
    deterministic: dropout and batch statistics act in training only, where the paper keeps them
    for its results too.
    """

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__()
        channels = config.channels
        deepest = len(channels) - 1
        self.down = nn.ModuleList(
            _down(channels[level - 1] if level else 1, width, 0 < level < deepest)
            for level, width in enumerate(channels)
        )
        # Every level but the deepest takes the encoder's feature beside what comes from below.
        inputs = [(1 if level == deepest else 2) * width for level, width in enumerate(channels)]
        self.up = nn.ModuleList(
            [_resize_conv(inputs[0], 3)]
            + [
                nn.Sequential(
                    _resize_conv(inputs[level], channels[level - 1]),
                    nn.BatchNorm2d(channels[level - 1]),
                    nn.Dropout(config.dropout if level > deepest - 3 else 0.0),
                    nn.ReLU(inplace=True),
                )
                for level in range(1, deepest + 1)
            ]
        )

    def forward(self, thermal: Tensor) -> Tensor:
        """Translate a batch.

        Args:
            thermal: float [N,1,H,W] in [0,1], H and W divisible by the size multiple.

        Returns:
            float [N,3,H,W], RGB in (0,1).
        """
        skips: list[Tensor] = []
        x = thermal
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.up[-1](skips.pop())
        for up in reversed(self.up[:-1]):
            x = up(torch.cat([x, skips.pop()], dim=1))
        return torch.sigmoid(x)


def _down(inputs: int, outputs: int, normalised: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=not normalised),
        nn.BatchNorm2d(outputs) if normalised else nn.Identity(),
        nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
    )


def _resize_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2.0, mode="nearest"),
        nn.Conv2d(inputs, outputs, 3, padding=1),
    )
