"""The seven categories of Cityscapes as sums of its nineteen classes (Cordts et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

CITYSCAPES = 19
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


def category_scores(logits: Tensor) -> Tensor:
    """Logits of the categories: the logarithm of the sum of their classes' exponentials.

    Args:
        logits: float [N,19,H,W] of Cityscapes' classes.

    Returns:
        float [N,7,H,W]; a softmax over it sums the classes' own probabilities.
    """
    scores = [torch.logsumexp(logits[:, list(ids)], 1, keepdim=True) for ids in CATEGORIES.values()]
    return torch.cat(scores, dim=1)
