"""Differentiable augmentation, the same for true and painted pictures (Zhao et al. 2020).

A discriminator that sees few pictures learns them by heart; shown through changes that a
gradient passes, it cannot (arXiv 2006.10738): brightness, saturation, contrast, a shift, a hole.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SHARE = 0.6
"""Share of the pictures that are changed."""
SHIFT = 0.1
"""Largest shift, of a side."""
HOLE = (0.3, 0.3)
"""Sides of the hole, of the picture's."""


class DiffAugment:
    """One draw for a batch; to be applied to everything that belongs together.

    Args:
        count: pictures.
        device: of the pictures. Draws come from torch's global generator.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        def draw(low: float, high: float) -> Tensor:
            return torch.empty(count, 1, 1, 1, device=device).uniform_(low, high)

        on = (draw(0, 1) < SHARE).float()
        self._brightness = draw(-0.2, 0.2) * on
        self._saturation = 1 + draw(-0.6, 0.6) * on
        self._contrast = 1 + draw(-0.3, 0.3) * on
        self._shift = torch.cat([draw(-2, 2), draw(-2, 2)], 1).flatten(1) * SHIFT * on[:, :, 0, 0]
        self._hole = torch.cat([draw(0, 1), draw(0, 1)], 1).flatten(1)
        self._holed = on * (draw(0, 1) < 0.5)

    def colour(self, rgb: Tensor) -> Tensor:
        """Pictures [N,3,H,W] of any range near [0,1]: colours changed, then `place`."""
        rgb = rgb + self._brightness
        grey = rgb.mean(1, keepdim=True)
        rgb = (rgb - grey) * self._saturation + grey
        mean = rgb.mean((1, 2, 3), keepdim=True)
        return self.place((rgb - mean) * self._contrast + mean)

    def place(self, image: Tensor) -> Tensor:
        """Images [N,C,H,W]: shifted, black where nothing comes from, and holed."""
        count, _, height, width = image.shape
        turn = torch.eye(2, device=image.device).expand(count, 2, 2)
        # Whole pixels: a fraction would blur, which is something to be judged by.
        side = torch.tensor([width, height], device=image.device) / 2
        shift = torch.round(self._shift * side) / side
        grid = affine_grid(
            torch.cat([turn, shift[..., None]], 2), list(image.shape), align_corners=False
        )
        return grid_sample(image, grid, mode="nearest", align_corners=False) * self._kept(image)

    def _kept(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        y = torch.linspace(0, 1, height, device=image.device).view(1, 1, -1, 1)
        x = torch.linspace(0, 1, width, device=image.device).view(1, 1, 1, -1)
        column, row = (self._hole[:, i].view(-1, 1, 1, 1) for i in (0, 1))
        inside = ((y - row).abs() < HOLE[0] / 2) & ((x - column).abs() < HOLE[1] / 2)
        return 1 - inside.float() * self._holed
