"""The U-Net that LadleNet uses twice, as Handle and as Bowl.

No transposed convolution anywhere: nearest-neighbour upsampling beside a convolution leaves
no checkerboard and keeps INT8 per-channel axes unambiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.2


def conv_bn(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation, LeakyReLU(0.2); the size is kept."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
    )


class EncoderBlock(nn.Module):
    """1x1 convolution to the level's width, ``convs`` 3x3 convolutions, residual add."""

    def __init__(self, inputs: int, outputs: int, convs: int) -> None:
        super().__init__()
        self.widen = conv_bn(inputs, outputs, 1)
        self.convs = nn.Sequential(*(conv_bn(outputs, outputs) for _ in range(convs)))

    def forward(self, x: Tensor) -> Tensor:
        """[N,inputs,H,W] -> [N,outputs,H,W]."""
        wide = self.widen(x)
        result: Tensor = wide + self.convs(wide)
        return result


class DecoderBlock(nn.Module):
    """Reduce, upsample by nearest neighbour, concatenate the skip, convolve, residual add.

    The reducing 1x1 convolution commutes with nearest-neighbour upsampling, so it runs before
    it, at a quarter of the cost.

    Args:
        inputs: channels from the level below, at half the resolution.
        outputs: channels of this level, and of its skip.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = conv_bn(inputs, outputs, 1)
        self.merge = conv_bn(2 * outputs, outputs)

    def forward(self, x: Tensor, skip: Tensor, extra: Tensor | None) -> tuple[Tensor, Tensor]:
        """Decode one level.

        Args:
            x: [N,inputs,H,W].
            skip: [N,outputs,2H,2W] from the encoder.
            extra: [N,2*outputs,2H,2W] to add to the concatenation, or None.

        Returns:
            The level's feature [N,outputs,2H,2W] and its concatenation [N,2*outputs,2H,2W].
        """
        up = nn.functional.interpolate(self.reduce(x), scale_factor=2.0, mode="nearest")
        joined = torch.cat([up, skip], dim=1)
        if extra is not None:
            joined = joined + extra
        return up + self.merge(joined), joined


class UNetFeatures(NamedTuple):
    """What a U-Net hands on, finest level first."""

    levels: list[Tensor]
    """Decoder features, [N,channels[i],H/2^i,W/2^i]; the first is the output."""
    joined: list[Tensor]
    """Decoder concatenations, [N,2*channels[i],H/2^i,W/2^i]."""


class UNet(nn.Module):
    """U-Net with one pooling per entry of ``channels``.

    As a Bowl every encoder level may also take the Handle's feature of the same size,
    concatenated and reduced by a *learned* convolution, and every decoder concatenation may add
    the Handle's. The published code draws the reducing convolutions anew, random and untrained,
    at every forward pass; here they are layers.

    Args:
        inputs: input channels.
        channels: width of each level, finest first.
        convs: 3x3 convolutions of each encoder level, 2 as published.
        fuse_channels: channels of the Handle's feature at each level, 0 where there is none;
            empty where no Handle's features will be given.
        fuse_kernel: kernel of the fusing convolutions, 3 as published.
    """

    def __init__(
        self,
        inputs: int,
        channels: Sequence[int],
        convs: int = 2,
        fuse_channels: Sequence[int] = (),
        fuse_kernel: int = 3,
    ) -> None:
        super().__init__()
        widths = [inputs, *channels]
        self.encoder = nn.ModuleList(
            EncoderBlock(narrow, wide, convs)
            for narrow, wide in zip(widths, channels, strict=False)
        )
        self.fuse = nn.ModuleList(
            conv_bn(width + extra, width, fuse_kernel) if extra else nn.Identity()
            for width, extra in zip(channels, fuse_channels, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        deepest = channels[-1]
        self.bottleneck = nn.Sequential(
            conv_bn(deepest, 2 * deepest, 1), conv_bn(2 * deepest, deepest, 1)
        )
        below = [*channels[1:], deepest]
        self.decoder = nn.ModuleList(
            DecoderBlock(deep, width) for deep, width in zip(below, channels, strict=True)
        )

    def forward(
        self,
        x: Tensor,
        fused: Sequence[Tensor | None] = (),
        joined_extra: Sequence[Tensor] = (),
    ) -> UNetFeatures:
        """Encode and decode.

        Args:
            x: [N,inputs,H,W], sides divisible by 2**len(channels).
            fused: the Handle's feature for each encoder level, None where ``fuse_channels`` is 0.
            joined_extra: the Handle's decoder concatenation for each level, or nothing.
        """
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            feature = block(x)
            if fused and (extra := fused[level]) is not None:
                feature = self.fuse[level](torch.cat([feature, extra], dim=1))
            skips.append(feature)
            x = self.pool(feature)
        x = self.bottleneck(x)
        levels: list[Tensor] = []
        joined: list[Tensor] = []
        for level in reversed(range(len(skips))):
            added = joined_extra[level] if joined_extra else None
            x, concatenation = self.decoder[level](x, skips[level], added)
            levels.insert(0, x)
            joined.insert(0, concatenation)
        return UNetFeatures(levels, joined)


class Fold(nn.Module):
    """Fold blocks of ``side`` x ``side`` pixels into channels (pixel-unshuffle).

    A convolution with one-hot weights: one clean node in the exported graph, where the exporter
    would otherwise write a chain of shapes and transposes.
    """

    def __init__(self, side: int, channels: int = 1) -> None:
        super().__init__()
        self.side = side
        one_hot = torch.eye(channels * side**2).reshape(channels * side**2, channels, side, side)
        self.register_buffer("weight", one_hot, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N,channels,H,W] -> [N,channels*side**2,H/side,W/side]."""
        if self.side == 1:
            return x
        return nn.functional.conv2d(x, self.get_buffer("weight"), stride=self.side)


def refinement(width: int) -> nn.Module | None:
    """Two full-resolution convolutions over picture and thermal image, or None for width 0."""
    if not width:
        return None
    return nn.Sequential(
        nn.Conv2d(4, width, 3, padding=1),
        nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
        nn.Conv2d(width, 3, 3, padding=1),
    )


def colour(raw: Tensor, thermal: Tensor, fold: int, refine: nn.Module | None) -> Tensor:
    """The last steps to a picture: unfold, refine by the thermal image, bound.

    Args:
        raw: [N,3*fold**2,H/fold,W/fold].
        thermal: [N,1,H,W] in [0,1].
        fold: see `Fold`.
        refine: see `refinement`.

    Returns:
        [N,3,H,W], RGB in (0,1).
    """
    rgb = nn.functional.pixel_shuffle(raw, fold) if fold > 1 else raw
    if refine is not None:
        rgb = rgb + refine(torch.cat([rgb, thermal], dim=1))
    return torch.sigmoid(rgb)
