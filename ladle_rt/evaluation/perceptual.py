"""Features of a pretrained network, for perceptual and kernel distances.

The perceptual distance is the idea of Zhang et al., "The Unreasonable Effectiveness of Deep
Features", 2018, without their learned weights and with another norm: it is not LPIPS, and is
comparable with no other publication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from ladle_rt.evaluation.comparison import Comparison, PerceptualScores, PooledFeatures
from ladle_rt.evaluation.eval_model import comparison_size
from ladle_rt.models.image_features import normalised
from ladle_rt.similarity import Image

STAGES = (1, 3, 6, 13)
"""Stages of the network whose outputs are compared, the last of strides 2, 4, 8 and 16."""
BATCH = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, RGB in [0,1]: what the network was trained with."""


@dataclass(frozen=True, slots=True)
class Features:
    """One picture as the network sees it."""

    maps: tuple[Tensor, ...]
    """[C,H,W] of each of `STAGES`, every pixel's channels divided by their root mean square."""
    pooled: npt.NDArray[np.float32]
    """[1280]: means over the final features."""


class FeatureNetwork:
    """Scores pictures by the network's features, always at 192x256, whatever their size.

    Args:
        path: file of weights, read as tensors only.
    """

    def __init__(self, path: Path) -> None:
        self._stages = _network(path)
        self._mean, self._std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))

    def __call__(self, views: Mapping[str, Comparison]) -> dict[str, PerceptualScores]:
        """Score one pair; a picture that several views share is looked at once."""
        unique = {
            id(image): image
            for view in views.values()
            for image in (*view.outputs.values(), view.truth)
        }
        known = dict(zip(unique, self.features(list(unique.values())), strict=True))
        result = {}
        for name, view in views.items():
            truth = known[id(view.truth)]
            rows = {row: known[id(image)] for row, image in view.outputs.items()}
            result[name] = PerceptualScores(
                {row: distance(one, truth) for row, one in rows.items()},
                PooledFeatures({row: one.pooled for row, one in rows.items()}, truth.pooled),
            )
        return result

    def features(self, images: Sequence[Image]) -> list[Features]:
        """Features of pictures, HxWx3 float32 RGB in [0,1], in batches of `BATCH`."""
        found: list[Features] = []
        for start in range(0, len(images), BATCH):
            small = [comparison_size(image) for image in images[start : start + BATCH]]
            found += self._batch(torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2))
        return found

    @torch.inference_mode()
    def _batch(self, x: Tensor) -> list[Features]:
        x = (x - self._mean) / self._std
        maps = []
        for number, stage in enumerate(self._stages):
            x = stage(x)
            if number in STAGES:
                maps.append(normalised(x))
        pooled = x.mean((2, 3)).numpy()
        each = zip(*maps, strict=True)
        return [Features(tuple(one), row.copy()) for one, row in zip(each, pooled, strict=True)]


def distance(x: Features, y: Features) -> float:
    """Perceptual distance: mean absolute difference of the maps, the mean over `STAGES`."""
    each = [float((a - b).abs().mean()) for a, b in zip(x.maps, y.maps, strict=True)]
    return float(np.mean(each))


def _network(path: Path) -> nn.Sequential:
    """MobileNetV2's features in evaluation mode; names in the file differ, order and shapes not."""
    stages = mobilenet_v2(weights=None).features
    own = stages.state_dict()
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    stages.load_state_dict(dict(zip(own, tensors.values(), strict=True)))
    return stages.eval()  # type: ignore[no-any-return]
