"""Frozen ImageNet features of a picture, for losses and discriminators.

EfficientNet-Lite0 with the weights that install from the package index; nothing is downloaded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ladle_rt.errors import require
from ladle_rt.models.handles.pretrained import packaged_tensors
from ladle_rt.models.handles.tensor_names import lite0

STRIDES: tuple[int, ...] = (2, 4, 8, 16)
CHANNELS: tuple[int, ...] = (16, 24, 40, 112)
"""Of the features at those strides."""
_PREFIX = "encoder.model."
_MEAN, _STD = 127 / 255, 128 / 255
"""What the packaged weights were trained with: (x * 255 - 127) / 128."""


class ImageFeatures(nn.Module):
    """Features at the strides of `STRIDES`; always in evaluation mode, never trained.

    Raises:
        MissingDependencyError: timm or the package of weights is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        timm: Any = require("timm", "train")
        network = timm.create_model(
            "efficientnet_lite0",
            features_only=True,
            pretrained=False,
            out_indices=tuple(range(len(STRIDES))),
        )
        own = network.state_dict()
        renamed = {
            (lite0(name) or "").removeprefix(_PREFIX): tensor
            for name, tensor in packaged_tensors().items()
        }
        network.load_state_dict({name: renamed.get(name, tensor) for name, tensor in own.items()})
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-3
        self.network = network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> ImageFeatures:
        """As `nn.Module.train`, except that this one stays in evaluation mode."""
        return super().train(False)

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """float [N,3,H,W], RGB in [0,1], sides divisible by 16, to [N,C,H/s,W/s], finest first."""
        features: list[Tensor] = self.network((rgb - _MEAN) / _STD)
        return features


def normalised(feature: Tensor) -> Tensor:
    """A feature [N,C,H,W] over its root mean square across channels, pixel by pixel.

    Where nothing is seen nothing is blown up: 0.01 is added to the root.
    """
    scale: Tensor = feature.square().mean(1, keepdim=True).sqrt() + 1e-2
    return feature / scale


def perceptual_distance(output: list[Tensor], truth: list[Tensor]) -> Tensor:
    """Mean L1 distance of `normalised` features over strides, a scalar.

    Of the kind of Johnson et al. 2016 (arXiv 1603.08155), without learned weights: not LPIPS.
    """
    distances = [
        torch.nn.functional.l1_loss(normalised(a), normalised(b))
        for a, b in zip(output, truth, strict=True)
    ]
    return torch.stack(distances).mean()
