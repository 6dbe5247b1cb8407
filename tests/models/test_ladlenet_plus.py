"""LadleNet+: bounded colour at every size, a Handle that can be frozen, settings that survive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from ladle_rt.errors import ConfigError
from ladle_rt.models.handles.handle_config import HandleConfig
from ladle_rt.models.ladlenet_plus import LadleNetPlus, LadleNetPlusConfig
from ladle_rt.models.registry import (
    ARCHITECTURES,
    build,
    config_from_dict,
    config_to_dict,
    preset_config,
)

COMPACT = preset_config("ladlenet-plus", "compact")
NANO = preset_config("ladlenet-plus", "nano")
LIGHT = ("compact", "mobilenet", "pspnet", "nano")


@pytest.mark.parametrize("preset", LIGHT)
def test_output_is_bounded_rgb_of_the_input_size(preset: str) -> None:
    torch.manual_seed(0)
    config = preset_config("ladlenet-plus", preset)
    assert 192 % config.size_multiple == 256 % config.size_multiple == 0
    model = build("ladlenet-plus", config).eval()
    step = config.size_multiple
    for height, width in ((2 * step, 5 * step), (step, step)):
        thermal = torch.rand(2, 1, height, width) * 100
        with torch.no_grad():
            rgb = model(thermal)
            assert torch.equal(rgb, model(thermal))
        assert rgb.shape == (2, 3, height, width)
        assert 0 <= rgb.min() and rgb.max() <= 1


def test_the_paper_preset_is_the_published_network() -> None:
    config = preset_config("ladlenet-plus", "paper")
    with torch.device("meta"):
        model = build("ladlenet-plus", config).eval()
        assert model(torch.empty(1, 1, 192, 256)).shape == (1, 3, 192, 256)
    assert config.size_multiple == 32
    # 58.75 M of deeplabv3plus_resnet101, as its authors count it, and half a LadleNet.
    handle, bowl = (
        sum(p.numel() for p in part.parameters()) / 1e6 for part in (model.handle, model.bowl)
    )
    assert handle == pytest.approx(58.75, abs=0.05)
    assert bowl == pytest.approx(14.24, abs=0.05)
    assert not any(isinstance(module, nn.ConvTranspose2d) for module in model.modules())


@pytest.mark.parametrize("preset", LIGHT)
def test_gradients_reach_every_parameter(preset: str) -> None:
    torch.manual_seed(0)
    model = build("ladlenet-plus", preset_config("ladlenet-plus", preset)).train()
    model(torch.rand(2, 1, 64, 96)).square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


@pytest.mark.parametrize("when", ["before train()", "after train()"])
def test_a_frozen_handle_does_not_move(when: str) -> None:
    torch.manual_seed(0)
    model = LadleNetPlus(NANO)
    if when == "before train()":
        model.freeze_handle()
        model.train()
    else:
        model.train()
        model.freeze_handle()
    assert model.training and not any(module.training for module in model.handle.modules())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.rand(2, 1, 32, 48)).square().mean().backward()
        optimizer.step()
    moved = {
        name.partition(".")[0]
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == {"handle_out", "bowl", "bowl_out"}


def test_a_free_handle_moves_with_its_statistics() -> None:
    model = LadleNetPlus(NANO).train()
    statistics = model.handle.network.encoder.model.bn1.running_mean
    before = statistics.clone()
    model(torch.rand(2, 1, 32, 48))
    assert not torch.equal(statistics, before)


def test_encoder_parameters_are_the_encoders() -> None:
    model = LadleNetPlus(NANO)
    named = {id(p): name for name, p in model.named_parameters()}
    names = [named[id(p)] for p in model.encoder_parameters()]
    assert names == [name for name in named.values() if name.startswith("handle.network.encoder.")]
    assert names


def test_the_encoder_behind_the_deepest_feature_is_cut() -> None:
    assert len(LadleNetPlus(COMPACT).handle.network.encoder.model.blocks) == 5
    assert len(LadleNetPlus(NANO).handle.network.encoder.model.blocks) == 3


@pytest.mark.parametrize("field", ["skips", "bowl_thermal"])
def test_what_the_bowl_sees_matters(field: str) -> None:
    torch.manual_seed(0)
    thermal = torch.rand(1, 1, 32, 32)
    with_it = LadleNetPlus(NANO).eval()
    without = LadleNetPlus(replace(NANO, **{field: False})).eval()
    shared = {
        name: value
        for name, value in with_it.state_dict().items()
        if name in without.state_dict() and without.state_dict()[name].shape == value.shape
    }
    without.load_state_dict(shared, strict=False)
    with torch.no_grad():
        assert not torch.allclose(with_it(thermal), without(thermal), atol=1e-4)


@pytest.mark.parametrize("preset", sorted(ARCHITECTURES["ladlenet-plus"].presets))
def test_presets_survive_json(preset: str) -> None:
    config = preset_config("ladlenet-plus", preset)
    values = config_to_dict(config)
    assert isinstance(values["handle"]["mean"], list)
    assert config_from_dict("ladlenet-plus", values) == config


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        (
            {"rates": 1},
            "of ladlenet-plus: unknown key 'rates' for handle; known are ",
        ),
        ({"depth": 7}, "depth of a handle must be 3, 4 or 5, received 7"),
        ({"depth": True}, "ladlenet-plus: expected a whole number for handle.depth, received True"),
        ({"channels": "wide"}, "expected a whole number for handle.channels, received 'wide'"),
        (
            {"mean": [0.5, None, 0.5]},
            r"a finite number for handle.mean\[1\], received None",
        ),
        ({"mean": 0.5}, "expected a list for handle.mean, received 0.5"),
        (3, "expected a table for handle, received 3"),
    ],
)
def test_handles_that_do_not_fit_the_file(handle: Any, message: str) -> None:
    values = config_to_dict(COMPACT)
    changed = {**values["handle"], **handle} if isinstance(handle, dict) else handle
    with pytest.raises(ConfigError, match=message) as caught:
        config_from_dict("ladlenet-plus", {**values, "handle": changed})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": ()}, "channels must be positive"),
        ({"encoder_convs": 0}, "received 0, 3 and 0"),
        ({"handle_channels": 0}, "received 2, 0 and 0"),
        ({"refine_channels": -1}, "received 2, 3 and -1"),
        ({"fold": 3}, "fold must be 1 or 2"),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LadleNetPlusConfig(handle=HandleConfig(), **changes)
