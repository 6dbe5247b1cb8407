"""The network of a run, and the weights it starts from."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from torch import Tensor, nn

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
