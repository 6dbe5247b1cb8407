"""Bridged U-Net: two U-Nets, the second built on everything that the first made.

W-Net of Chen et al. 2018 (arXiv 1807.04459) in the form that LadleNet is compared with
(arXiv 2308.06603): strided convolutions instead of pooling, ReLU in the shallow levels and ELU
in the deep ones, and three bridges. The first network's picture is the second's input, its
decoder features are concatenated to the second's encoder, and its decoder concatenations are
added to the second's. Where the published code bridges the deepest level with the encoder's
feature, and passes one decoder convolution by, ours does as in the other levels; the output is
a sigmoid, bounded to (0, 1), instead of unbounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ladle_rt.errors import ConfigError

_PICTURE = 3
"""Channels of the picture between the two networks, as of the result."""


@dataclass(frozen=True, slots=True)
class BridgedUNetConfig:
    """Shape of a `BridgedUNet`."""

    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Width of each level of the first network, finest first; each but the first halves the size.
    The second's encoder levels are half as wide."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1:
            raise ConfigError(
                f"channels must be at least two positive widths, received {self.channels}"
            )

    @property
    def size_multiple(self) -> int:
        """Input sides must be divisible by this."""
        return int(2 ** (len(self.channels) - 1))


class BridgedUNet(nn.Module):
    """Two bridged U-Nets, thermal to colour."""

    def __init__(self, config: BridgedUNetConfig) -> None:
        super().__init__()
        widths = config.channels
        first, depth = widths[0], len(widths) - 1
        elus = [level >= (depth + 1) // 2 for level in range(depth)]
        self.stem1 = nn.Sequential(_conv(1, first), _conv(first, first))
        self.down1 = nn.ModuleList(
            _down(widths[level], widths[level + 1], elu) for level, elu in enumerate(elus)
        )
        # Levels 0 to depth - 1; what comes from below is as wide as the level below.
        joined = [widths[level] + widths[level + 1] for level in range(depth)]
        self.up1 = nn.ModuleList(_conv(joined[level], widths[level]) for level in range(depth))
        self.picture = nn.Conv2d(first, _PICTURE, 3, padding=1)
        self.stem2 = nn.Sequential(_conv(_PICTURE, first), _conv(first, first))
        # The second encoder: as wide as the first's level above, beside a bridge as wide again.
        narrow = [first, *widths[:-1]]
        self.down2 = nn.ModuleList(
            _down(narrow[level] + widths[level], narrow[level + 1], elu)
            for level, elu in enumerate(elus)
        )
        # The second decoder: twice as wide as the first, except where it begins.
        below = [*(2 * width for width in widths[1:depth]), narrow[depth]]
        self.join2 = nn.ModuleList(
            _conv(below[level] + narrow[level], joined[level]) for level in range(depth)
        )
        self.up2 = nn.ModuleList(_conv(joined[level], 2 * widths[level]) for level in range(depth))
        self.out = nn.Conv2d(2 * first, _PICTURE, 3, padding=1)

    def forward(self, thermal: Tensor) -> Tensor:
        """Translate a batch.

        Args:
            thermal: float [N,1,H,W] in [0,1], H and W divisible by the size multiple.

        Returns:
            float [N,3,H,W], RGB in (0,1).
        """
        skips = _encode(self.stem1(thermal), self.down1)
        levels: list[Tensor] = []
        bridges: list[Tensor] = []
        x = skips.pop()
        for level in reversed(range(len(skips))):
            joined = torch.cat([_upsample(x), skips[level]], dim=1)
            x = self.up1[level](joined)
            bridges.insert(0, joined)
            levels.insert(0, x)
        skips = _encode(self.stem2(self.picture(x)), self.down2, levels)
        x = skips.pop()
        for level in reversed(range(len(skips))):
            joined = self.join2[level](torch.cat([_upsample(x), skips[level]], dim=1))
            x = self.up2[level](joined + bridges[level])
        return torch.sigmoid(self.out(x))


def _encode(x: Tensor, down: nn.ModuleList, bridges: Sequence[Tensor] = ()) -> list[Tensor]:
    """Features of all levels, finest first."""
    features = [x]
    for level, block in enumerate(down):
        x = block(torch.cat([x, bridges[level]], dim=1) if bridges else x)
        features.append(x)
    return features


def _upsample(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _conv(inputs: int, outputs: int, stride: int = 1, elu: bool = False) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ELU(inplace=True) if elu else nn.ReLU(inplace=True),
    )


def _down(inputs: int, outputs: int, elu: bool) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, elu=elu), _conv(outputs, outputs, 2, elu))
