"""Sensor noise on the device, for the consistency term of the loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

STRENGTH = (0.005, 0.03)
"""Standard deviation, drawn for each frame; the frame's range is [0,1]."""
BLURRED = 2.4
"""Gain that brings a 3x3 mean of white noise to about the strength of the noise itself."""


def sensor_noise(thermal: Tensor) -> Tensor:
    """Add Gaussian noise, every other call blurred by 3x3 pixels as optics and codecs do.

    Args:
        thermal: float [N,1,H,W] in [0,1]; not changed. Draws from torch's global generator.

    Returns:
        The same shape, clipped to [0,1].
    """
    shape = (len(thermal), 1, 1, 1)
    strength = torch.empty(shape, device=thermal.device, dtype=thermal.dtype).uniform_(*STRENGTH)
    noise = torch.randn_like(thermal)
    if torch.rand(()) < 0.5:
        noise = avg_pool2d(noise, 3, stride=1, padding=1) * BLURRED
    return (thermal + strength * noise).clamp(0, 1)
