"""The channels beside the thermal image: what they say, and that a graph can hold them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ladle_rt.models.context_channels import BOUND, CHANNELS, context
from ladle_rt.models.ladlenet_plus import LadleNetPlus
from ladle_rt.models.registry import config_from_dict, config_to_dict, preset_config
from ladle_rt.models.weights import inherit


def test_rows_run_from_top_to_bottom_or_over_the_part_that_is_seen() -> None:
    thermal = torch.rand(2, 1, 64, 96)
    _, row = context(thermal).split(1, dim=1)
    assert torch.allclose(row[:, :, 0], torch.tensor(-1.0)) and torch.allclose(
        row[:, :, -1], torch.tensor(1.0)
    )
    assert (row.diff(dim=2) > 0).all() and row.diff(dim=3).abs().max() < 1e-6
    _, part = context(thermal, torch.tensor([[0.0, 1.0], [0.5, 0.75]])).split(1, dim=1)
    assert torch.allclose(part[0], row[0], atol=1e-6)
    assert part[1].min().item() == pytest.approx(0) and part[1].max().item() == pytest.approx(0.5)


def test_local_contrast_forgets_gain_and_level() -> None:
    torch.manual_seed(0)
    thermal = torch.rand(1, 1, 64, 96) * 0.5
    local = context(thermal)[:, :1]
    assert local.abs().max() <= 1 and local.std() > 0.2
    assert (context(thermal + 0.3)[:, :1] - local).abs().max() < 1e-3
    assert (context(thermal * 2)[:, :1] - local).abs().max() < 0.35
    assert context(torch.full((1, 1, 64, 96), 0.7))[:, :1].abs().max() < 1e-3
    half = context(thermal.half())[:, :1].float()
    assert (half - local).abs().max() < 5e-3, "fit for half precision"
    assert BOUND > 1 and context(thermal).shape[1] == CHANNELS


def small(extra: bool) -> LadleNetPlus:
    torch.manual_seed(0)
    config = preset_config("ladlenet-plus", "nano")
    return LadleNetPlus(replace(config, context=extra)).eval()


def test_a_network_that_grows_channels_paints_as_before() -> None:
    torch.manual_seed(3)
    thermal = torch.rand(2, 1, 64, 96)
    narrow, wide = small(False), small(True)
    assert inherit(wide, narrow.state_dict()) == []
    with torch.no_grad():
        before = narrow(thermal)
        assert torch.allclose(wide(thermal), before, atol=1e-5)
        # The channels are there to be used.
        wide.get_parameter("handle.network.encoder.model.conv_stem.extra").normal_()
        assert not torch.allclose(wide(thermal), before, atol=1e-3)


def test_inherit_names_what_starts_afresh() -> None:
    wide = small(True)
    weights = dict(wide.state_dict())
    del weights["bowl_out.weight"]
    weights["bowl_out.bias"] = torch.zeros(1)
    assert inherit(small(True), weights) == ["bowl_out.weight", "bowl_out.bias"]


def test_settings_of_older_models_still_build() -> None:
    values = config_to_dict(preset_config("ladlenet-plus", "compact"))
    del values["context"]
    assert config_from_dict("ladlenet-plus", values) == preset_config("ladlenet-plus", "compact")
