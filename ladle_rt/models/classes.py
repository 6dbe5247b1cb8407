"""The seven categories of Cityscapes as sums of its nineteen classes (Cordts et al. 2016)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

CATEGORIES: dict[str, tuple[int, ...]] = {
    "ground": (0, 1),
    "building": (2, 3, 4),
    "vegetation": (8, 9),
    "sky": (10,),
    "pole or sign": (5, 6, 7),
    "person": (11, 12),
    "vehicle": (13, 14, 15, 16, 17, 18),
}
"""Training ids of the classes in each category, in the order of label maps and of the graph's
output ``classes``."""


class WithClasses(nn.Module):
    """A LadleNet+ that also says what it takes things for.

    Args:
        model: a `LadleNetPlus` whose Handle was trained with the semantic term.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, thermal: Tensor) -> tuple[Tensor, Tensor]:
        """[N,1,H,W] in [0,1] to the picture [N,3,H,W] and `category_scores` [N,7,H,W]."""
        logits, rgb = self.model.logits_and_rgb(thermal)
        scale = float(self.model.handle.logit_stride)
        scores = interpolate(
            category_scores(logits), scale_factor=scale, mode="bilinear", align_corners=False
        )
        return rgb, scores


def category_scores(logits: Tensor) -> Tensor:
    """Logits of the categories: the logarithm of the sum of their classes' exponentials.

    Args:
        logits: float [N,19,H,W] of Cityscapes' classes.

    Returns:
        float [N,7,H,W]; a softmax over it sums the classes' own probabilities.
    """
    scores = [torch.logsumexp(logits[:, list(ids)], 1, keepdim=True) for ids in CATEGORIES.values()]
    return torch.cat(scores, dim=1)
