"""Noise of sensors and codecs, made on the device, for the terms of the loss about steadiness."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, pad

STRENGTH = (0.005, 0.03)
"""Standard deviation, drawn for each frame; the frame's range is [0,1]."""
FAINT = (0.002, 0.02)
"""The same for what changes from one video frame to the next: real clips have 0.004 to 0.006."""
BLURRED = 2.4
"""Gain that brings a 3x3 mean of white noise to about the strength of the noise itself."""
BLOCK = 8
"""Side of a codec's blocks, pixels."""
STEPS = (0.01, 0.1)
"""Quantiser steps of a codec's lowest frequencies; the highest are three times as coarse."""


def sensor_noise(thermal: Tensor, strength: tuple[float, float] = STRENGTH) -> Tensor:
    """Add Gaussian noise, every other call blurred by 3x3 pixels as optics and codecs do.

    Args:
        thermal: float [N,1,H,W] in [0,1]; not changed. Draws from torch's global generator.
        strength: the range of its standard deviation, drawn logarithmically for each frame.

    Returns:
        The same shape, clipped to [0,1].
    """
    noise = torch.randn_like(thermal)
    if torch.rand(()) < 0.5:
        noise = avg_pool2d(noise, 3, stride=1, padding=1) * BLURRED
    return (thermal + _draw(thermal, strength) * noise).clamp(0, 1)


def codec_noise(thermal: Tensor) -> Tensor:
    """Quantise the cosine transform of blocks, as JPEG and the codecs of video do.

    The blocks' grid lies at a random offset. No gradient passes.

    Args:
        thermal: float [N,1,H,W] in [0,1]; not changed. Draws from torch's global generator.

    Returns:
        The same shape, clipped to [0,1].
    """
    height, width = thermal.shape[-2:]
    top, left = (int(value) for value in torch.randint(0, BLOCK, (2,)))
    edges = (left, -(left + width) % BLOCK, top, -(top + height) % BLOCK)
    basis, coarseness = _cosines(thermal)
    step = _draw(thermal, STEPS) * coarseness
    seen = conv2d(pad(thermal.detach(), edges, mode="replicate"), basis, stride=BLOCK)
    back = conv_transpose2d((seen / step).round() * step, basis, stride=BLOCK)
    return back[..., top : top + height, left : left + width].clamp(0, 1)


def _draw(like: Tensor, bounds: tuple[float, float]) -> Tensor:
    """One value for each frame, log-uniform: float [N,1,1,1]."""
    low, high = (math.log(bound) for bound in bounds)
    shape = (len(like), 1, 1, 1)
    return torch.empty(shape, device=like.device, dtype=like.dtype).uniform_(low, high).exp()


def _cosines(like: Tensor) -> tuple[Tensor, Tensor]:
    """The orthonormal DCT-II of a block as filters [64,1,8,8], and how coarsely each is kept."""
    index = torch.arange(BLOCK, device=like.device, dtype=like.dtype)
    rows = torch.cos(math.pi / BLOCK * (index[None] + 0.5) * index[:, None]) * (2 / BLOCK) ** 0.5
    rows[0] /= 2**0.5
    basis = torch.einsum("ik,jl->ijkl", rows, rows).reshape(BLOCK**2, 1, BLOCK, BLOCK)
    frequency = (index[:, None] + index[None]).reshape(1, -1, 1, 1)
    return basis, 1 + 2 * frequency / frequency.max()
