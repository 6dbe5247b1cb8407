"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn


class AveragedWeights:
    """A copy of a network that follows it slowly; the one that is validated and exported.

    Own code, because `torch.optim.swa_utils.AveragedModel` goes tensor by tensor and waits for
    the device at each.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, updates: int) -> None:
        """Take ``model`` in after its step.

        The decay grows from 0.2, so that early weights are soon forgotten.

        Args:
            model: the network that is trained, in its fp32 weights.
            updates: calls before this one; the first copies.
        """
        decay = min(self._decay, (1 + updates) / (10 + updates)) if updates else 0.0
        mine, theirs = _tensors(self.model), _tensors(model)
        floats = [i for i, tensor in enumerate(mine) if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [mine[i] for i in floats], [theirs[i] for i in floats], weight=1 - decay
        )
        for average, current in zip(mine, theirs, strict=True):
            if not average.is_floating_point():
                average.copy_(current)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [cast(Tensor, tensor) for tensor in model.state_dict().values()]
