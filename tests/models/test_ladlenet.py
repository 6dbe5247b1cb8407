"""LadleNet: shapes, bounds, the learned fusion, the published size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ladle_rt.errors import ConfigError
from ladle_rt.models.ladlenet import LadleNet, LadleNetConfig
from ladle_rt.models.registry import (
    ARCHITECTURES,
    build,
    config_from_dict,
    config_to_dict,
    preset_config,
)

SMALL = LadleNetConfig(channels=(4, 8), handle_channels=2, encoder_convs=1, fuse_kernel=1, fold=2)


@pytest.mark.parametrize("preset", sorted(ARCHITECTURES["ladlenet"].presets))
def test_presets_have_sizes_divisible_by_32_and_survive_json(preset: str) -> None:
    config = preset_config("ladlenet", preset)
    assert config.size_multiple == 32
    assert config_from_dict("ladlenet", config_to_dict(config)) == config


def test_paper_preset_is_as_large_as_published() -> None:
    # 34.3 M in the published code, which leaves its fusing convolutions untrained.
    with torch.device("meta"):
        model = build("ladlenet", preset_config("ladlenet", "paper"))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(34.3, rel=0.03)


@pytest.mark.parametrize("shape", [(1, 1, 32, 64), (2, 1, 24, 8)])
@pytest.mark.parametrize("refine", [0, 4])
def test_output_is_bounded_rgb_of_the_input_size(shape: tuple[int, ...], refine: int) -> None:
    torch.manual_seed(0)
    model = LadleNet(LadleNetConfig(**{**config_to_dict(SMALL), "refine_channels": refine}))
    output = model.train()(torch.rand(shape) * 100)
    assert output.shape == (shape[0], 3, *shape[2:])
    assert 0 <= output.min() and output.max() <= 1


def test_every_parameter_learns_including_the_fusion() -> None:
    torch.manual_seed(0)
    model = LadleNet(SMALL)
    model(torch.rand(2, 1, 16, 16)).square().mean().backward()
    fusing = [p for name, p in model.named_parameters() if ".fuse." in name]
    assert fusing
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in fusing)
    assert all(p.grad is not None for p in model.parameters())


def test_without_skips_the_handle_reaches_the_bowl_through_its_image_alone() -> None:
    torch.manual_seed(0)
    model = LadleNet(replace(SMALL, skips=False)).eval()
    assert not any(".fuse." in name for name, _ in model.named_parameters())
    thermal = torch.rand(1, 1, 16, 24)
    with torch.no_grad():
        seen = model(thermal)
        model.handle_out.weight.zero_()
        blind = [model(thermal), model(1 - thermal)]
    assert not torch.equal(seen, blind[0])
    assert torch.equal(blind[0], blind[1])


@pytest.mark.parametrize("size", ["compact", "paper"])
def test_one_stage_has_as_many_parameters_as_two(size: str) -> None:
    with torch.device("meta"):
        two = build("ladlenet", preset_config("ladlenet", size))
        one = build("unet", preset_config("unet", f"{size}-one-stage"))
    counts = [sum(p.numel() for p in model.parameters()) for model in (two, one)]
    assert counts[0] == pytest.approx(counts[1], rel=0.005)


def test_two_evaluations_agree() -> None:
    # The published fusion is random at every call.
    model = LadleNet(SMALL).eval()
    thermal = torch.rand(1, 1, 16, 24)
    assert torch.equal(model(thermal), model(thermal))


def test_folding_is_pixel_unshuffle() -> None:
    model = LadleNet(SMALL)
    seen = {}
    model.handle.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    thermal = torch.rand(1, 1, 16, 24)
    model(thermal)
    assert torch.equal(seen["x"], torch.nn.functional.pixel_unshuffle(thermal, 2))


@pytest.mark.parametrize(
    "values",
    [
        {"channels": ()},
        {"channels": (8, 0)},
        {"fold": 3},
        {"fuse_kernel": 2},
        {"encoder_convs": 0},
        {"handle_channels": 0},
    ],
)
def test_bad_shapes_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        LadleNetConfig(**values)  # type: ignore[arg-type]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="architecture must be one of"):
        preset_config("nothing", "paper")
    with pytest.raises(ConfigError, match="preset of ladlenet must be one of"):
        preset_config("ladlenet", "nothing")
    with pytest.raises(ConfigError, match="expected a value for handle_channels, received none"):
        config_from_dict("ladlenet", {"channels": [1]})
    with pytest.raises(ConfigError, match="width and levels"):
        LadleNetConfig.of_width(0)
