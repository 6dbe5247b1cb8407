"""The network of a run: built, with its first weights, its optimiser and its moving average."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel

from ladle_rt.errors import ConfigError
from ladle_rt.models.ladlenet_plus import LadleNetPlus
from ladle_rt.models.registry import build
from ladle_rt.models.weights import inherit, load_model
from ladle_rt.training.train_config import TrainConfig

logger = logging.getLogger("ladle_rt")


class NetworkWithLogits(nn.Module):
    """A network as a step runs it: the picture, and the logits of a Handle where it has one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, thermal: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """[N,1,H,W] and the `Sample.rows` of each to [N,3,H,W] and logits."""
        if isinstance(self.model, LadleNetPlus):
            logits, rgb = self.model.logits_and_rgb(thermal, rows)
            return rgb, logits
        return self.model(thermal), None


def build_network(config: TrainConfig, model_config: Any) -> nn.Module:
    """The network that the configuration names, its Handle frozen where it says so.

    Raises:
        ConfigError: it asks for a Handle of a network without one.
    """
    model = build(config.architecture, model_config)
    wanted = [name for name in ("handle_weights", "freeze_handle") if getattr(config, name)]
    freeze = getattr(model, "freeze_handle", None)
    if wanted and freeze is None:
        raise ConfigError(
            f"{' and '.join(wanted)} need a network with a segmentation Handle (ladlenet-plus), "
            f"received {config.architecture}"
        )
    if config.freeze_handle and freeze is not None:
        freeze()
    return model


def load_starting_weights(model: nn.Module, config: TrainConfig) -> None:
    """Take what the configuration names to start from: a Handle's weights, then a whole model's.

    Raises:
        ConfigError: a model of another architecture or thermal normalisation.
        ModelError: a file that cannot be read.
    """
    if config.handle_weights is not None:
        _load_handle(model, config.handle_weights)
    if config.init is not None:
        _start_from(model, config.init, config)


def _start_from(model: nn.Module, path: Path, config: TrainConfig) -> None:
    """Take what fits of another model's weights, and say what does not."""
    source, info = load_model(path)
    if info.architecture != config.architecture or info.thermal != config.thermal:
        raise ConfigError(
            f"init {path} must be a {config.architecture} with the run's thermal "
            f"normalisation, received a {info.architecture} with {info.thermal}"
        )
    fresh = inherit(model, source.state_dict())
    if fresh:
        logger.warning("%s: %d tensors start afresh, first %s", path.name, len(fresh), fresh[0])


def _load_handle(model: nn.Module, source: str) -> None:
    from ladle_rt.models.handles.pretrained import load_handle_weights

    report = load_handle_weights(model, source)
    for kind in ("missing", "unexpected"):
        if names := list(getattr(report, kind)):
            logger.warning(
                "%s: %d %s tensors: %s", Path(source).name, len(names), kind, ", ".join(names)
            )


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
