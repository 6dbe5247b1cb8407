"""Architectures by name, and their presets.

An architecture is one `Architecture` entry: a frozen configuration class, a function that
builds the module from it, and named presets. Training, export and the listings know nothing
else about a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from typing import Any, get_type_hints

from torch import nn

from ladle_rt.errors import ConfigError
from ladle_rt.models.baselines import Pix2PixConfig, Pix2PixGenerator, SingleUNet, UNetConfig
from ladle_rt.models.bridged_unet import BridgedUNet, BridgedUNetConfig
from ladle_rt.models.handles.handle_config import HandleConfig
from ladle_rt.models.handles.handle_settings import IMAGENET_MEAN, IMAGENET_STD
from ladle_rt.models.ladlenet import LadleNet, LadleNetConfig
from ladle_rt.models.ladlenet_plus import LadleNetPlus, LadleNetPlusConfig
from ladle_rt.structure import structure, to_plain


@dataclass(frozen=True, slots=True)
class Architecture:
    """How to build one family of networks."""

    config: type[Any]
    """Frozen dataclass with a ``size_multiple`` property."""
    build: Callable[[Any], nn.Module]
    """Makes the module; it takes [N,1,H,W] in [0,1] and returns [N,3,H,W] in [0,1]."""
    presets: Mapping[str, Any]
    """Configurations by preset name."""


_COMPACT = LadleNetConfig(
    channels=(16, 32, 64, 128),
    handle_channels=16,
    encoder_convs=1,
    fuse_kernel=1,
    fold=2,
    refine_channels=8,
)
_LITE = HandleConfig(
    encoder="tu-efficientnet_lite0",
    depth=4,
    output_stride=16,
    channels=64,
    # The feature map is 12x16 at 192x256: the published rates would reach outside it.
    atrous_rates=(2, 4, 6),
    separable=True,
    # What the packaged ImageNet weights were trained with: (x * 255 - 127) / 128.
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    norm_eps=1e-3,
)
_COMPACT_PLUS = LadleNetPlusConfig(
    handle=_LITE,
    channels=(16, 32, 64, 128),
    handle_channels=8,
    encoder_convs=1,
    skips=True,
    bowl_thermal=True,
    fold=2,
    refine_channels=8,
)

ARCHITECTURES: dict[str, Architecture] = {
    "ladlenet": Architecture(
        config=LadleNetConfig,
        build=LadleNet,
        presets={
            "paper": LadleNetConfig(repeat_input=True),
            "width12": LadleNetConfig.of_width(12),
            "compact": _COMPACT,
            "nano": LadleNetConfig(
                channels=(8, 16, 32, 64),
                handle_channels=8,
                encoder_convs=1,
                fuse_kernel=1,
                fold=2,
            ),
            # What the Bowl loses without the Handle's features.
            "paper-no-skips": LadleNetConfig(repeat_input=True, skips=False),
            "compact-no-skips": replace(_COMPACT, skips=False),
        },
    ),
    "ladlenet-plus": Architecture(
        config=LadleNetPlusConfig,
        build=LadleNetPlus,
        presets={
            "paper": LadleNetPlusConfig(),
            "compact": _COMPACT_PLUS,
            "daylight": replace(_COMPACT_PLUS, context=True),
            "mobilenet": replace(
                _COMPACT_PLUS,
                handle=replace(
                    _LITE,
                    encoder="tu-mobilenetv3_large_100",
                    mean=IMAGENET_MEAN,
                    std=IMAGENET_STD,
                    norm_eps=1e-5,
                ),
            ),
            "pspnet": replace(
                _COMPACT_PLUS,
                handle=replace(_LITE, name="pspnet", depth=3, output_stride=8),
            ),
            "fpn": replace(_COMPACT_PLUS, handle=replace(_LITE, name="fpn")),
            "resnet18": replace(
                _COMPACT_PLUS,
                handle=replace(
                    _LITE,
                    encoder="tu-resnet18",
                    mean=IMAGENET_MEAN,
                    std=IMAGENET_STD,
                    norm_eps=1e-5,
                ),
            ),
            "nano": replace(
                _COMPACT_PLUS,
                handle=replace(_LITE, depth=3, output_stride=8, channels=16),
                channels=(8, 16, 32),
                refine_channels=0,
            ),
        },
    ),
    "unet": Architecture(
        config=UNetConfig,
        build=SingleUNet,
        presets={
            "paper": UNetConfig(),
            "compact": UNetConfig(channels=(8, 16, 32, 64, 128)),
            # One stage with as many parameters as LadleNet's two.
            "paper-one-stage": UNetConfig(channels=(50, 100, 200, 400, 800)),
            "compact-one-stage": UNetConfig(
                channels=(23, 46, 92, 184), encoder_convs=1, fold=2, refine_channels=8
            ),
        },
    ),
    "bridged-unet": Architecture(
        config=BridgedUNetConfig,
        build=BridgedUNet,
        presets={
            "paper": BridgedUNetConfig(),
            "compact": BridgedUNetConfig(channels=(4, 8, 16, 32, 64, 128)),
        },
    ),
    "pix2pix": Architecture(
        config=Pix2PixConfig,
        build=Pix2PixGenerator,
        presets={
            "paper": Pix2PixConfig(),
            "compact": Pix2PixConfig(channels=(16, 32, 64, 128, 128, 128)),
        },
    ),
}


_NEWER = frozenset({"context", "fold", "refine_channels", "skips"})
"""Settings that came after 0.4, left out of older models' JSON."""


def find_architecture(name: str) -> Architecture:
    """Look an architecture up.

    Raises:
        ConfigError: unknown name.
    """
    if name not in ARCHITECTURES:
        raise ConfigError(f"architecture must be one of {sorted(ARCHITECTURES)}, received {name!r}")
    return ARCHITECTURES[name]


def preset_config(architecture: str, preset: str) -> Any:
    """A preset's configuration.

    Raises:
        ConfigError: unknown architecture or preset.
    """
    presets = find_architecture(architecture).presets
    if preset not in presets:
        raise ConfigError(
            f"preset of {architecture} must be one of {sorted(presets)}, received {preset!r}"
        )
    return presets[preset]


def config_to_dict(config: Any) -> dict[str, Any]:
    """A configuration as JSON-ready values."""
    values: dict[str, Any] = to_plain(asdict(config))
    return values


def config_from_dict(architecture: str, values: Mapping[str, Any]) -> Any:
    """The inverse of `config_to_dict`.

    Raises:
        ConfigError: unknown architecture, unknown or missing fields, values of the wrong kind or
            out of range.
    """
    kind, where = find_architecture(architecture).config, f"configuration of {architecture}"
    _check_complete(kind, values, where)
    return structure(kind, values, where, ConfigError)


def _check_complete(kind: Any, values: Any, where: str) -> None:
    """A default may change, so nothing is left to it but what older versions did not know."""
    if not isinstance(values, Mapping):
        return
    hints = get_type_hints(kind)
    for field in fields(kind):
        if field.name in values:
            if is_dataclass(hints[field.name]):
                _check_complete(hints[field.name], values[field.name], f"{where}, {field.name}")
        elif field.default is MISSING or field.name not in _NEWER:
            raise ConfigError(f"{where}: expected a value for {field.name}, received none")


def build(architecture: str, config: Any) -> nn.Module:
    """Build a network with fresh weights."""
    return find_architecture(architecture).build(config)
