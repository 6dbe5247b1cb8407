"""The same scene a moment later: what the picture should do when the camera moves or is noisy.

    G(S(T) + noise + tone)  against  S(G(T))        S: a shift by whole pixels

A network whose picture follows the noise of sensor and codec, or hops with the pixel grid,
flickers in video. Every other draw S stands still, as most cameras do. Compared is what both
pictures show, away from the border.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from ladle_rt.training.noise import FAINT, codec_noise, sensor_noise

REACH = 8
"""Largest shift, pixels."""
MARGIN = 8
"""Pixels beside the border that are not compared: there the network guesses."""
TONE = 0.04
"""Largest change of gain and of level."""


def later_frames(thermal: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Shift frames, add noise of sensor and codec and change their levels a little.

    Args:
        thermal: float [N,1,H,W] in [0,1]; draws from torch's global generator.

    Returns:
        The same shape, what left the frame coming in again at the other side, and the shift in
        rows and columns.
    """
    still = torch.rand(()) < 0.5
    down, right = (0 if still else int(by) for by in torch.randint(-REACH, REACH + 1, (2,)))
    shape, device = (len(thermal), 1, 1, 1), thermal.device
    gain = 1 + torch.empty(shape, device=device).uniform_(-TONE, TONE)
    level = torch.empty(shape, device=device).uniform_(-TONE, TONE) / 2
    moved = torch.roll(thermal, (down, right), (2, 3))
    noisy = sensor_noise((moved * gain + level).clamp(0, 1), FAINT)
    return (codec_noise(noisy) if torch.rand(()) < 0.5 else noisy), (down, right)


def instability(now: Tensor, later: Tensor, shift: tuple[int, int]) -> Tensor:
    """L1 between the picture of a moment later and the picture now, moved along; a scalar.

    Args:
        now: float [N,3,H,W], the picture of the frames.
        later: the same, of `later_frames`'s.
        shift: what that returned.
    """
    moved = torch.roll(now, shift, (2, 3))
    edge = REACH + MARGIN
    inner = (..., slice(edge, -edge), slice(edge, -edge))
    return l1_loss(later[inner], moved[inner])
