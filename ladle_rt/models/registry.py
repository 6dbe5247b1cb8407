"""Architectures by name, and their presets.

An architecture is one `Architecture` entry: a frozen configuration class, a function that
builds the module from it, and named presets. Training, export and the listings know nothing
else about a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import nn

from ladle_rt.errors import ConfigError
from ladle_rt.models.ladlenet import LadleNet, LadleNetConfig


@dataclass(frozen=True, slots=True)
class Architecture:
    """How to build one family of networks."""

    config: type[Any]
    """Frozen dataclass with a ``size_multiple`` property."""
    build: Callable[[Any], nn.Module]
    """Makes the module; it takes [N,1,H,W] in [0,1] and returns [N,3,H,W] in [0,1]."""
    presets: Mapping[str, Any]
    """Configurations by preset name."""


ARCHITECTURES: dict[str, Architecture] = {
    "ladlenet": Architecture(
        config=LadleNetConfig,
        build=LadleNet,
        presets={
            "paper": LadleNetConfig(repeat_input=True),
            "width12": LadleNetConfig.of_width(12),
            "compact": LadleNetConfig(
                channels=(16, 32, 64, 128),
                handle_channels=16,
                encoder_convs=1,
                fuse_kernel=1,
                fold=2,
                refine_channels=8,
            ),
            "nano": LadleNetConfig(
                channels=(8, 16, 32, 64),
                handle_channels=8,
                encoder_convs=1,
                fuse_kernel=1,
                fold=2,
            ),
        },
    ),
}


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
    return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(config).items()}


def config_from_dict(architecture: str, values: Mapping[str, Any]) -> Any:
    """The inverse of `config_to_dict`.

    Raises:
        ConfigError: unknown architecture, unknown or missing fields, values out of range.
    """
    kind = find_architecture(architecture).config
    expected = {field.name for field in fields(kind)}
    if set(values) != expected:
        raise ConfigError(
            f"configuration of {architecture} needs {sorted(expected)}, received {sorted(values)}"
        )
    return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


def build(architecture: str, config: Any) -> nn.Module:
    """Build a network with fresh weights."""
    return find_architecture(architecture).build(config)
