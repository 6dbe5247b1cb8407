"""Differentiable SSIM and multi-scale SSIM (Wang, Simoncelli & Bovik 2003), fast on CPUs.

torchmetrics' functions with their defaults, less the border where those reflect the image; the
tests hold the two together. Own code because training spent as long in their 11x11 convolutions
as in a compact network: here the separable Gaussian window is two products with band matrices.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang et al. 2003)."""
WINDOW = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2


def ssim_and_ms_ssim(output: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Mean SSIM and MS-SSIM of a batch; the first is a by-product of the second.

    Args:
        output: float [N,C,H,W] in [0,1], sides of at least 176.
        truth: the same.

    Returns:
        Two scalars, at most 1; in MS-SSIM negative contrast-structure terms count as zero.
    """
    ssim = torch.zeros(())
    factors: list[Tensor] = []
    for scale, weight in enumerate(WEIGHTS):
        luminance, contrast = _ssim_terms(output, truth)
        last = scale == len(WEIGHTS) - 1
        if scale == 0:
            ssim = (luminance * contrast).mean()
        factor = (luminance * contrast if last else contrast).mean(dim=(1, 2, 3))
        factors.append(torch.relu(factor) ** weight)
        if not last:
            output, truth = avg_pool2d(output, 2), avg_pool2d(truth, 2)
    return ssim, torch.stack(factors).prod(dim=0).mean()


def _ssim_terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure maps, [N,C,H-10,W-10]."""
    moments = torch.stack([x, y, x * x, y * y, x * y])
    rows, columns = _band(x.shape[2], x.device), _band(x.shape[3], x.device)
    mean_x, mean_y, xx, yy, xy = (rows.T @ (moments @ columns)).unbind(0)
    squares = mean_x * mean_x + mean_y * mean_y
    product = mean_x * mean_y
    luminance = (2 * product + C1) / (squares + C1)
    contrast = (2 * (xy - product) + C2) / (xx + yy - squares + C2)
    return luminance, contrast


@lru_cache(maxsize=32)
def _band(size: int, device: torch.device) -> Tensor:
    """[size, size-10]: column j holds the window that ends up at output position j."""
    taps = torch.arange(WINDOW, dtype=torch.float32) - WINDOW // 2
    window = torch.exp(-(taps**2) / (2 * SIGMA**2))
    window = window / window.sum()
    band = torch.zeros(size, size - WINDOW + 1)
    for column in range(size - WINDOW + 1):
        band[column : column + WINDOW, column] = window
    return band.to(device)
