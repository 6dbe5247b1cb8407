"""The optimiser of a run's network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ladle_rt.training.train_config import TrainConfig


def build_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """AdamW or Adam over what may be trained; each group's ``rate`` scales the schedule."""
    groups = _parameter_groups(model, config.encoder_rate)
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
    if config.loss.adversarial > 0:
        # Of Pix2Pix: less momentum, since the other side moves too.
        return torch.optim.Adam(groups, lr=rate, weight_decay=decay, betas=(0.5, 0.999))
    return torch.optim.Adam(groups, lr=rate, weight_decay=decay, amsgrad=True)


def _parameter_groups(model: nn.Module, encoder_rate: float) -> list[dict[str, Any]]:
    """The parameters to train in two groups, a Handle's encoder and the rest."""
    encoder: Iterable[nn.Parameter] = getattr(model, "encoder_parameters", tuple)()
    slow = {id(parameter) for parameter in encoder}
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) in slow], "rate": encoder_rate},
        {"params": [p for p in trained if id(p) not in slow], "rate": 1.0},
    ]
    return [group for group in groups if group["params"]]
