"""What ships and what can be trained, as rows for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ladle_rt.models.artifact import load_artifact, shipped_models

if TYPE_CHECKING:
    from torch import nn

LISTING_SIZE = (192, 256)
"""Height and width that multiply-accumulates are counted for."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model."""

    name: str
    """Shipped name, or architecture and preset."""
    parameters: int
    macs: int
    """Multiply-accumulates for one frame of `LISTING_SIZE`."""
    size_mb: float | None
    """Of the graph on disk; ``None`` where nothing ships."""


def shipped_rows() -> list[ModelRow]:
    """Models inside the package.

    Raises:
        ModelError: a shipped pair is damaged.
    """
    rows = []
    for name, path in shipped_models().items():
        info = load_artifact(name).info
        rows.append(ModelRow(name, info.parameters, info.macs, path.stat().st_size / 1e6))
    return rows


def registered_rows() -> list[ModelRow]:
    """Architectures and presets that can be trained; needs torch.

    Raises:
        ImportError: torch is not installed.
    """
    import torch

    from ladle_rt.models.registry import ARCHITECTURES

    rows = []
    for architecture, entry in ARCHITECTURES.items():
        for preset, config in entry.presets.items():
            with torch.device("meta"):
                model = entry.build(config).eval()
            parameters = sum(parameter.numel() for parameter in model.parameters())
            macs = count_macs(model, LISTING_SIZE)
            rows.append(ModelRow(f"{architecture} {preset}", parameters, macs, None))
    return rows


def count_macs(model: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-accumulates of one frame of height and width ``size``."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    device = next(model.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, *size, device=device))
    return int(counter.get_total_flops()) // 2
