"""The PatchGAN discriminator of Pix2Pix (Isola et al. 2017, arXiv 1611.07004).

It judges overlapping patches, 70x70 pixels with three layers, not whole pictures. Each picture
is normalised by its own statistics, as the paper's batches of one are, so that neither the
batch nor the number of processes changes the judgement.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ladle_rt.models.blocks import NEGATIVE_SLOPE

_WIDEST = 8
"""Layers grow up to so many times the first one's width."""


class PatchDiscriminator(nn.Module):
    """Real or translated, patch by patch.

    Args:
        inputs: channels of thermal and colour picture together.
        width: channels of the first layer.
        layers: convolutions of stride 2; patches of 34, 70 and 142 pixels for 2, 3 and 4.
    """

    def __init__(self, inputs: int = 4, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        stack: list[nn.Module] = [_conv(inputs, width, 2), nn.LeakyReLU(NEGATIVE_SLOPE)]
        widths = [width * min(2**layer, _WIDEST) for layer in range(layers + 1)]
        for layer in range(1, layers + 1):
            stack += [
                _conv(widths[layer - 1], widths[layer], 2 if layer < layers else 1),
                nn.InstanceNorm2d(widths[layer], affine=True),
                nn.LeakyReLU(NEGATIVE_SLOPE),
            ]
        self.stack = nn.Sequential(*stack, _conv(widths[-1], 1, 1))

    def forward(self, thermal: Tensor, rgb: Tensor) -> Tensor:
        """Judge a batch.

        Args:
            thermal: float [N,1,H,W] in [0,1].
            rgb: float [N,3,H,W], RGB in [0,1], true or translated.

        Returns:
            float [N,1,h,w], a logit for each patch: positive for real.
        """
        result: Tensor = self.stack(torch.cat([thermal, rgb], dim=1))
        return result


def _conv(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 4, stride, padding=1)
