"""Facts of networks that nobody has trained or measured."""

from __future__ import annotations

from typing import Any

from ladle_rt.models.artifact import ModelInfo
from ladle_rt.thermal.normalization import ThermalNormalization


def bare_info(name: str = "tiny", architecture: str = "ladlenet", **facts: Any) -> ModelInfo:
    """What a model's JSON says; what is not named counts nothing.

    Args:
        name: of the model.
        architecture: of the network.
        facts: fields of `ModelInfo` that matter.
    """
    usual: dict[str, Any] = {
        "config": {},
        "thermal": ThermalNormalization(),
        "train_size": (64, 96),
        "size_multiple": 32,
        "parameters": 1,
        "macs": 1,
        "training": {},
        "metrics": {},
        "onnx_sha256": "",
    }
    return ModelInfo(name=name, architecture=architecture, **{**usual, **facts})
