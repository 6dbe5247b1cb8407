"""The Handle itself: thermal to class logits, its encoder's features handed on."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ladle_rt.errors import ConfigError, first_line, require
from ladle_rt.models.handles.handle_config import HandleConfig
from ladle_rt.models.handles.kinds import HANDLES


class HandleFeatures(NamedTuple):
    """What a Handle hands on."""

    logits: Tensor
    """[N,classes,H/stride,W/stride] with the Handle's `logit_stride`."""
    levels: dict[int, Tensor]
    """Encoder features by stride, [N,C,H/stride,W/stride]; strides from 2."""


class Handle(nn.Module):
    """A segmentation network over one thermal channel.

    Args:
        config: the network.
        extra: channels beside the thermal one, in [-1,1]; fresh weights ignore them.

    Raises:
        ConfigError: the encoder is unknown or cannot have these settings.
        MissingDependencyError: segmentation_models_pytorch is not installed.
    """

    def __init__(self, config: HandleConfig, extra: int = 0) -> None:
        super().__init__()
        kind = HANDLES[config.name]
        _check_encoder(config.encoder)
        try:
            self.network: Any = kind.build(config)
        except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"encoder {config.encoder} cannot be a {config.name} of depth {config.depth} and "
                f"output_stride {config.output_stride}: {first_line(error)}"
            ) from error
        _cut_unused(self.network.encoder)
        for module in self.network.encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = config.norm_eps
        channels = 3
        if len(set(config.mean)) == len(set(config.std)) == 1 and _sum_stem(
            self.network.encoder, extra
        ):
            channels = 1
        elif extra:
            raise ConfigError(
                f"encoder {config.encoder} cannot take {extra} channels beside the thermal one; "
                "choose one with a single plain first convolution and equal mean and std"
            )
        mean = torch.tensor(config.mean[:channels]).view(1, channels, 1, 1)
        std = torch.tensor(config.std[:channels]).view(1, channels, 1, 1)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.logit_stride = kind.logit_stride(config)
        widths = self.network.encoder.out_channels
        self.level_channels = {
            2**stage: widths[stage]
            for stage in range(1, config.depth + 1)
            if 2**stage <= config.output_stride and widths[stage]
        }
        """Channels of `HandleFeatures.levels` by stride."""

    def forward(self, thermal: Tensor, extra: Tensor | None = None) -> HandleFeatures:
        """float [N,1,H,W] in [0,1], sides divisible by the deepest stride, to what it sees."""
        x = (thermal - self.get_buffer("mean")) / self.get_buffer("std")
        if extra is not None:
            x = torch.cat([x, extra], dim=1)
        features = self.network.encoder(x)
        logits = self.network.segmentation_head(self.network.decoder(features))
        levels = {stride: features[stride.bit_length() - 1] for stride in self.level_channels}
        return HandleFeatures(logits, levels)


class GreyConv2d(nn.Conv2d):
    """A first convolution whose input channels are all the same picture, which is given once.

    ``extra`` channels may follow; their weights begin at zero.
    """

    def __init__(self, inputs: int, outputs: int, extra: int, **settings: Any) -> None:
        super().__init__(inputs, outputs, **settings)
        kernel = (outputs, extra, *self.kernel_size)
        self.extra = nn.Parameter(torch.zeros(kernel)) if extra else None

    def forward(self, input: Tensor) -> Tensor:
        """[N,1,H,W] to what the convolution makes of [N,in_channels,H,W] of equal channels."""
        weight = self.weight.sum(1, keepdim=True)
        if self.extra is not None:
            weight = torch.cat([weight, self.extra], dim=1)
        result: Tensor = self._conv_forward(input, weight, self.bias)
        return result


def _sum_stem(encoder: nn.Module, extra: int) -> bool:
    """Make the encoder's first convolution a `GreyConv2d`, if it alone sees the input."""
    stems = [
        (name, module)
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Conv2d) and module.in_channels == 3
    ]
    if len(stems) != 1:
        return False
    name, stem = stems[0]
    # Some encoders have convolutions that pad by themselves.
    if type(stem) is not nn.Conv2d or stem.groups != 1 or isinstance(stem.padding, str):
        return False
    settings: dict[str, Any] = {
        key: getattr(stem, key) for key in ("kernel_size", "stride", "padding", "dilation")
    }
    settings["bias"] = stem.bias is not None
    grey = GreyConv2d(3, stem.out_channels, extra, **settings)
    grey.weight, grey.bias = stem.weight, stem.bias
    parent, _, leaf = name.rpartition(".")
    setattr(encoder.get_submodule(parent), leaf, grey)
    return True


def _check_encoder(name: str) -> None:
    """Raises ConfigError with the likeliest names."""
    smp = require("segmentation_models_pytorch", "train")
    timm = require("timm", "train")
    known = smp.encoders.get_encoder_names()
    if name in known or (name.startswith("tu-") and timm.is_model(name[3:])):
        return
    names = [*known, *(f"tu-{model}" for model in timm.list_models())]
    like = get_close_matches(name, names, 3, 0.5) or ["resnet101", "tu-efficientnet_lite0"]
    raise ConfigError(
        f"encoder must be one that segmentation_models_pytorch or, after tu-, timm knows, such as "
        f"{', '.join(like)}; received {name!r}"
    )


def _cut_unused(encoder: Any) -> None:
    """Drop stages of timm's EfficientNets behind the deepest feature; they would still be run."""
    network = getattr(encoder, "model", None)
    if network is None or not (hasattr(network, "feature_info") and hasattr(network, "blocks")):
        return
    room, _, rest = network.feature_info.module_name()[-1].partition(".")
    stage = rest.partition(".")[0]
    if room == "blocks" and stage.isdigit():
        network.blocks = network.blocks[: int(stage) + 1]
