"""What a thermal pixel means depends on its surroundings: two more channels, made in the graph.

    local   (T - mean) / (deviation from it + `FLOOR`) over windows of about `WINDOW` pixels,
            bounded and scaled to [-1,1]: the same for every camera's tone curve
    row     height in the whole frame, -1 at its top and 1 at its bottom: cold ground is not sky

The graph's input stays one channel; every operation here has a counterpart in ONNX opset 20 and
in TensorRT. Windows are pooled at a quarter of the size, where they cost next to nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

CHANNELS = 2
POOL = 4
WINDOW = 36
"""Side of the windows, pixels; 9 after pooling."""
FLOOR = 0.05
"""Deviation, on the input's scale of 1, below which a window counts as flat."""
BOUND = 3.0
"""Deviations beyond which a pixel is not told apart."""


def context(thermal: Tensor, rows: Tensor | None = None) -> Tensor:
    """The channels beside the thermal image.

    Args:
        thermal: float [N,1,H,W] in [0,1], sides divisible by `POOL`.
        rows: float [N,2], where the first and the last row lie in the whole frame, 0 its top
            and 1 its bottom; None for whole frames.

    Returns:
        float [N,2,H,W] in [-1,1].
    """
    return torch.cat([_local(thermal), _row(thermal, rows)], dim=1)


def _local(thermal: Tensor) -> Tensor:
    # Squares of differences, and no difference of squares: half precision would cancel.
    apart = thermal - _mean(thermal)
    deviation = torch.sqrt(_mean(apart * apart) + 1e-4)
    return torch.clamp(apart / (deviation + FLOOR), -BOUND, BOUND) / BOUND


def _mean(plane: Tensor) -> Tensor:
    side = WINDOW // POOL
    coarse = avg_pool2d(plane, POOL)
    mean = avg_pool2d(coarse, side, stride=1, padding=side // 2, count_include_pad=False)
    return interpolate(mean, scale_factor=float(POOL), mode="bilinear", align_corners=False)


def _row(thermal: Tensor, rows: Tensor | None) -> Tensor:
    # Four pixels stretched over the frame: a ramp of any height without counting rows. Taken
    # from the image, and thrown away, so that the batch's size comes along.
    corners = thermal[:, :, :2, :2] * 0
    if rows is None:
        ends = torch.tensor([0.0, 1.0], device=thermal.device, dtype=thermal.dtype)
        corners = corners + ends.view(1, 1, 2, 1)
    else:
        corners = corners + rows.to(thermal.dtype).view(-1, 1, 2, 1)
    size = thermal.shape[-2:]
    return interpolate(corners, size=size, mode="bilinear", align_corners=True) * 2 - 1
