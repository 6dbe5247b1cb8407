"""Multiply-accumulates are counted as one counts them by hand."""

from __future__ import annotations

import pytest
from torch import nn

from ladle_rt.models.listing import count_macs


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.Conv2d(1, 6, 3, padding=1), 8 * 12 * 9 * 6),
        (nn.Conv2d(1, 6, 3, padding=1, stride=2), 4 * 6 * 9 * 6),
        # Depthwise: each output channel sees one input channel.
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4)), 96 * 40),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 8, 1, groups=2)), 96 * (4 + 16)),
    ],
)
def test_macs_by_hand(layer: nn.Module, macs: int) -> None:
    assert count_macs(layer, (8, 12)) == macs
