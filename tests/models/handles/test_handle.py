"""Handles: what segmentation_models_pytorch computes, at every size, and nothing unclear."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from ladle_rt.errors import ConfigError, MissingDependencyError
from ladle_rt.models.handles.handle import GreyConv2d, Handle
from ladle_rt.models.handles.handle_config import HandleConfig
from ladle_rt.models.handles.kinds import HANDLES, HandleKind
from ladle_rt.models.handles.parts import PyramidAverage
from ladle_rt.models.ladlenet_plus import LadleNetPlus, LadleNetPlusConfig

GREY = {"mean": (0.4,) * 3, "std": (0.2,) * 3}
SMALL = {"encoder": "tu-resnet18", "channels": 32, "classes": 5, **GREY}
SHAPES = [
    {"name": "deeplabv3plus", "depth": 3, "output_stride": 16, "separable": True},
    {"name": "deeplabv3plus", "depth": 4, "output_stride": 8, "separable": True},
    {"name": "deeplabv3plus", "depth": 4, "output_stride": 16},
    {"name": "deeplabv3plus", "depth": 5, "output_stride": 8},
    {"name": "pspnet", "depth": 3, "output_stride": 8},
    {"name": "pspnet", "depth": 5, "output_stride": 16},
    {"name": "fpn", "depth": 4, "output_stride": 16},
    {"name": "fpn", "depth": 5, "output_stride": 32},
]


def randomise(model: nn.Module) -> None:
    """Batch statistics as of a trained network."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_strides_are_right_at_every_divisible_size(shape: dict[str, Any]) -> None:
    config = HandleConfig(**{**SMALL, **shape})
    with torch.device("meta"):
        handle = Handle(config).eval()
        for height, width in ((192, 256), (config.stride, 5 * config.stride)):
            logits, levels = handle(torch.empty(2, 1, height, width))
            side = handle.logit_stride
            assert logits.shape == (2, 5, height // side, width // side)
            assert {stride: tuple(level.shape[1:]) for stride, level in levels.items()} == {
                stride: (channels, height // stride, width // stride)
                for stride, channels in handle.level_channels.items()
            }
    assert list(levels) == [2**stage for stage in range(1, 6) if 2**stage <= config.stride]


def reference(config: HandleConfig) -> nn.Module:
    """The library's own network, for three channels."""
    shared = {
        "encoder_name": config.encoder,
        "encoder_depth": config.depth,
        "encoder_weights": None,
        "classes": config.classes,
        "upsampling": 1,
    }
    if config.name == "deeplabv3plus":
        return smp.DeepLabV3Plus(
            encoder_output_stride=config.output_stride,
            decoder_channels=config.channels,
            decoder_atrous_rates=config.atrous_rates,
            decoder_aspp_separable=True,
            **shared,
        )
    if config.name == "pspnet":
        return smp.PSPNet(
            psp_out_channels=config.channels, output_stride=config.output_stride, **shared
        )
    return smp.FPN(
        decoder_pyramid_channels=2 * config.channels,
        decoder_segmentation_channels=config.channels,
        **shared,
    )


@pytest.mark.parametrize(
    "shape", [s for s in SHAPES if s["name"] != "deeplabv3plus" or "separable" in s][::2]
)
@pytest.mark.parametrize("grey", [True, False])
def test_a_handle_is_the_librarys_network(shape: dict[str, Any], grey: bool) -> None:
    """Also the parameters have its names: its checkpoints fit."""
    torch.manual_seed(0)
    scale = {} if grey else {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
    config = HandleConfig(**{**SMALL, **shape, **scale, "norm_eps": 1e-5})
    handle = Handle(config)
    randomise(handle)
    expected = reference(config)
    expected.load_state_dict(handle.network.state_dict())
    thermal = torch.rand(2, 1, 96, 160)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
    with torch.no_grad():
        logits = handle.eval()(thermal).logits
        expected_logits: Tensor = expected.eval()((thermal - mean) / std)
    assert handle.get_buffer("mean").shape[1] == (1 if grey else 3)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(6, 6), (7, 13), (5, 4), (2, 1)])
def test_pyramid_averages_are_adaptive_pooling(size: tuple[int, int]) -> None:
    features = torch.rand(2, 3, *size, dtype=torch.float64)
    for parts in (1, 2, 3, 6):
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(parts), nn.Identity())
        expected = nn.functional.interpolate(
            pool(features), size=size, mode="bilinear", align_corners=True
        )
        torch.testing.assert_close(PyramidAverage(pool, parts)(features), expected)


def test_the_stem_sums_its_weights_in_training_too() -> None:
    handle = Handle(HandleConfig(**SMALL, depth=3, output_stride=8))
    stem = handle.network.encoder.model.conv1
    assert isinstance(stem, GreyConv2d) and stem.weight.shape[1] == 3
    grey = torch.rand(2, 1, 16, 16)
    plain = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    plain.weight = stem.weight
    expected = torch.autograd.grad(plain(grey.repeat(1, 3, 1, 1)).square().sum(), stem.weight)
    received = torch.autograd.grad(stem(grey).square().sum(), stem.weight)
    torch.testing.assert_close(received, expected, rtol=1e-4, atol=1e-3)


def test_an_encoder_with_several_stems_sees_three_channels() -> None:
    config = HandleConfig(**{**SMALL, "encoder": "mobileone_s0"}, depth=3, output_stride=8)
    with torch.device("meta"):
        handle = Handle(config).eval()
        assert handle(torch.empty(1, 1, 32, 32)).logits.shape == (1, 5, 8, 8)
    assert handle.get_buffer("mean").shape[1] == 3


class Linknet(HandleKind):
    """What it takes to add a Handle."""

    def logit_stride(self, config: HandleConfig) -> int:
        return 1

    def build(self, config: HandleConfig) -> Any:
        return smp.Linknet(
            config.encoder, config.depth, encoder_weights=None, classes=config.classes
        )


def test_a_handle_is_one_small_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HANDLES, "linknet", Linknet())
    config = HandleConfig(**SMALL, name="linknet", depth=4, output_stride=16)
    with torch.device("meta"):
        model = LadleNetPlus(LadleNetPlusConfig(handle=config, channels=(4, 8), skips=True, fold=2))
        assert model(torch.empty(2, 1, 48, 64)).shape == (2, 3, 48, 64)


@pytest.mark.parametrize("name", ["deeplabv3plus", "pspnet", "fpn"])
def test_mixed_precision_trains(name: str) -> None:
    handle = Handle(HandleConfig(**SMALL, name=name, depth=4, output_stride=16))
    with torch.autocast("cpu", torch.bfloat16):
        logits = handle(torch.rand(2, 1, 32, 48)).logits
    logits.float().square().mean().backward()
    assert logits.dtype == torch.bfloat16
    assert all(torch.isfinite(p.grad).all() for p in handle.parameters() if p.grad is not None)


def test_a_missing_stride_is_no_level() -> None:
    config = HandleConfig(**{**SMALL, "encoder": "tu-convnext_atto"}, depth=4, output_stride=16)
    with torch.device("meta"):
        assert list(Handle(config).level_channels) == [4, 8, 16]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "segnet"}, r"one of \['deeplabv3plus', 'fpn', 'pspnet'\], received 'segnet'"),
        ({"depth": 6}, "depth of a handle must be 3, 4 or 5, received 6"),
        ({"output_stride": 4}, "must be 8, 16 or 32, received 4"),
        ({"output_stride": 32}, "of deeplabv3plus must be 8 or 16, received 32"),
        ({"atrous_rates": (1, 2)}, r"must be three, received \(1, 2\)"),
        ({"atrous_rates": (1, 2, 0)}, "must be >= 1"),
        ({"name": "fpn", "output_stride": 8}, "depth 5 with output_stride 32, received 5 and 8"),
        ({"name": "fpn", "depth": 3, "output_stride": 8}, "received 3 and 8"),
        ({"name": "fpn", "output_stride": 32, "channels": 48}, "a multiple of 32, received 48"),
        ({"classes": 0}, "must be >= 1"),
        ({"channels": 0}, "must be >= 1"),
        ({"dropout": 1.0}, r"in \[0, 1\), received 1.0"),
        ({"mean": (0.0,)}, "must have 3 values"),
        ({"std": (1.0, 1.0, 0.0)}, "above 0"),
        ({"norm_eps": 0.0}, "above 0"),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        HandleConfig(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("resnet1", "such as resnet18.*received 'resnet1'"),
        ("tu-mobilnetv3_large_100", "such as tu-mobilenetv3_large_100"),
        ("zzz", "such as resnet101, tu-efficientnet_lite0; received 'zzz'"),
        ("vgg16", "encoder vgg16 cannot be a deeplabv3plus of depth 5 and output_stride 8: "),
    ],
)
def test_encoders_that_do_not_do(encoder: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught, torch.device("meta"):
        Handle(HandleConfig(encoder=encoder))
    assert "\n" not in str(caught.value)


def test_one_picture_cannot_train_the_average_of_pictures() -> None:
    handle = Handle(HandleConfig(**SMALL, depth=3))
    with pytest.raises(ConfigError, match="batch must be >= 2 in each process, received 1"):
        handle(torch.rand(1, 1, 16, 16))


def test_the_library_loads_when_a_handle_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; from ladle_rt.models.registry import preset_config\n"
        "preset_config('ladlenet-plus', 'paper')\n"
        "assert not {'segmentation_models_pytorch', 'timm', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ladle-rt\[train\]'"):
        Handle(HandleConfig())
