"""Exponential moving average of a network's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network that follows it slowly; the one that is validated and exported.

    Its first update copies; then the decay grows from 0.2 to ``decay``, so that early weights are
    soon forgotten. Counters of batches are copied. How many updates there were stays on the CPU,
    so that no update waits for the device.

    Args:
        model: the network that is trained, in its fp32 weights and on its device.
        decay: in (0, 1).
    """

    def follow(average: PARAM_LIST, current: PARAM_LIST, updates: Tensor | int) -> None:
        if not average[0].is_floating_point():
            for mine, theirs in zip(average, current, strict=True):
                mine.copy_(theirs)
            return
        now = min(decay, (1 + int(updates)) / (10 + int(updates)))
        torch._foreach_lerp_(list(average), list(current), weight=1 - now)

    # timm's ModelEmaV3 warms up by another law and averages the counters too.
    average = AveragedModel(model, multi_avg_fn=follow, use_buffers=True)
    average.requires_grad_(False).eval()
    return average
