"""Baselines: shapes and bounds, gradients, and the sizes of what was published."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from ladle_rt.errors import ConfigError
from ladle_rt.models.baselines import Pix2PixConfig, Pix2PixGenerator, UNetConfig
from ladle_rt.models.bridged_unet import BridgedUNet, BridgedUNetConfig
from ladle_rt.models.registry import (
    ARCHITECTURES,
    build,
    config_from_dict,
    config_to_dict,
    preset_config,
)

BASELINES = ("unet", "bridged-unet", "pix2pix")


@pytest.mark.parametrize("architecture", BASELINES)
def test_output_is_bounded_rgb_of_the_input_size(architecture: str) -> None:
    torch.manual_seed(0)
    config = preset_config(architecture, "compact")
    step = config.size_multiple
    model = build(architecture, config).eval()
    for height, width in ((192, 256), (step, 3 * step)):
        thermal = torch.rand(2, 1, height, width) * 100
        with torch.no_grad():
            rgb = model(thermal)
            assert torch.equal(rgb, model(thermal)), "translating is deterministic"
        assert rgb.shape == (2, 3, height, width)
        assert 0 <= rgb.min() and rgb.max() <= 1


@pytest.mark.parametrize("architecture", BASELINES)
def test_every_parameter_learns(architecture: str) -> None:
    torch.manual_seed(0)
    config = preset_config(architecture, "compact")
    model = build(architecture, config)
    model(
        torch.rand(2, 1, 2 * config.size_multiple, 2 * config.size_multiple)
    ).square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
    assert not any(isinstance(module, nn.ConvTranspose2d) for module in model.modules())


@pytest.mark.parametrize("architecture", BASELINES)
def test_every_preset_fits_the_published_crop(architecture: str) -> None:
    for config in ARCHITECTURES[architecture].presets.values():
        assert 192 % config.size_multiple == 256 % config.size_multiple == 0
        assert config_from_dict(architecture, config_to_dict(config)) == config


def test_bridges_reach_the_second_network() -> None:
    torch.manual_seed(0)
    model = BridgedUNet(BridgedUNetConfig(channels=(4, 8, 16))).eval()
    thermal = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        before = model(thermal)
        # Cut off the picture between the networks: what arrives now came over the bridges.
        model.picture.weight.zero_()
        after = model(thermal)
        assert not torch.allclose(before, after)
        assert not torch.allclose(after, model(1 - thermal))


def test_bridged_unet_is_as_large_as_published() -> None:
    with torch.device("meta"):
        model = build("bridged-unet", preset_config("bridged-unet", "paper"))
    # Encoders and decoders of the published widths, by hand: each convolution and its norm.
    assert model.stem2[0][0].weight.shape == (32, 3, 3, 3)  # type: ignore[index,union-attr]
    shapes = [tuple(block[0][0].weight.shape[:2]) for block in model.down2]  # type: ignore
    assert shapes == [(32, 64), (64, 96), (128, 192), (256, 384)]
    joins = [tuple(block[0].weight.shape[:2]) for block in model.join2]  # type: ignore
    assert joins == [(96, 160), (192, 288), (384, 576), (768, 384)]


def test_pix2pix_of_eight_levels_is_the_published_encoder() -> None:
    config = Pix2PixConfig(channels=(64, 128, 256, 512, 512, 512, 512, 512))
    assert config.size_multiple == 256
    with torch.device("meta"):
        model = Pix2PixGenerator(config)
    convolutions = [m for m in model.down.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.kernel_size, m.stride) for m in convolutions] == [((4, 4), (2, 2))] * 8
    # The paper's encoder for one input channel: weights, the two biases, six affine norms.
    widths = (1, 64, 128, 256, 512, 512, 512, 512, 512)
    weights = sum(16 * a * b for a, b in pairwise(widths))
    norms = 2 * sum(config.channels[1:-1])
    assert sum(p.numel() for p in model.down.parameters()) == weights + 64 + 512 + norms
    dropped = [m.p for m in model.up.modules() if isinstance(m, nn.Dropout)]
    assert dropped == [0, 0, 0, 0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (UNetConfig, {"channels": ()}, r"received \(\) and 2"),
        (UNetConfig, {"encoder_convs": 0}, "and 0"),
        (BridgedUNetConfig, {"channels": (4,)}, "at least two positive widths"),
        (BridgedUNetConfig, {"channels": (4, 0)}, "at least two positive widths"),
        (Pix2PixConfig, {"channels": (4,)}, "at least two positive channels"),
        (Pix2PixConfig, {"dropout": 1.0}, r"dropout in \[0, 1\)"),
    ],
)
def test_shapes_out_of_range(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**values)
