"""A projected discriminator (Sauer et al. 2021, "Projected GANs", arXiv 2111.01007).

Pictures are told apart by frozen features, mixed across channels (random 1x1 convolutions) and
across scales (from the coarsest to the finest: upsampled, added, random 3x3 convolution), both
fixed at the start. A small convolutional network with spectral normalisation judges each scale
and sees the thermal image beside it. Ours leaves out the finest scale, which costs most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrizations import spectral_norm

from ladle_rt.models.blocks import NEGATIVE_SLOPE

WIDTH = 48
"""Channels of the mixed features."""


class DiscriminatorOutput(NamedTuple):
    """What one scale makes of a picture."""

    logits: Tensor
    """[N,1,h,w]: positive for real."""
    features: tuple[Tensor, ...]
    """What the layers before it found."""


class ProjectedDiscriminator(nn.Module):
    """One discriminator for each scale of frozen features.

    Args:
        channels: of the features, finest first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.across_channels = nn.ModuleList(_fixed(count, 1) for count in channels)
        self.across_scales = nn.ModuleList(_fixed(WIDTH, 3) for _ in channels[:-1])
        self.judges = nn.ModuleList(_ScaleDiscriminator() for _ in channels)

    def fixed_parameters(self) -> set[int]:
        """Identities of the parameters that stay as they were drawn."""
        mixtures = [*self.across_channels, *self.across_scales]
        return {id(parameter) for mix in mixtures for parameter in mix.parameters()}

    def forward(self, features: Sequence[Tensor], thermal: Tensor) -> list[DiscriminatorOutput]:
        """Judge a batch.

        Args:
            features: float [N,C,H/s,W/s] of the pictures, finest first, s doubling.
            thermal: float [N,1,H,W] in [0,1].

        Returns:
            A judgement for each scale, finest first.
        """
        mixed = [mix(f) for mix, f in zip(self.across_channels, features, strict=True)]
        for scale in reversed(range(len(mixed) - 1)):
            coarser = interpolate(mixed[scale + 1], scale_factor=2.0, mode="nearest")
            mixed[scale] = self.across_scales[scale](mixed[scale] + coarser)
        return [
            judge(torch.cat([x, interpolate(thermal, x.shape[-2:], mode="area") * 2 - 1], dim=1))
            for judge, x in zip(self.judges, mixed, strict=True)
        ]


class _ScaleDiscriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                spectral_norm(nn.Conv2d(WIDTH + 1, WIDTH, 3, stride=2, padding=1)),
                spectral_norm(nn.Conv2d(WIDTH, WIDTH, 3, padding=1)),
            ]
        )
        self.last = spectral_norm(nn.Conv2d(WIDTH, 1, 3, padding=1))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        found = []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), NEGATIVE_SLOPE)
            found.append(x)
        return DiscriminatorOutput(self.last(x), tuple(found))


def _fixed(inputs: int, kernel: int) -> nn.Conv2d:
    mix = nn.Conv2d(inputs, WIDTH, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(mix.weight, nonlinearity="linear")
    return mix.requires_grad_(False)
