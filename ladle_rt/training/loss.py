"""The training loss against the truth.

    published * (alpha * (1 - MS-SSIM) + (1 - alpha) * L1)        arXiv 2308.06603, alpha = 0.84
        + ssim * (1 - SSIM) + l2 * L2                             0.8 and 0.2 in U-Net_IR2VI
        + chroma * L1(CbCr) + saturation * L1(local |CbCr|)       ours, 0 in the paper's recipe
        + blurred * L1(8x8 means) + moments * |log ratio of local deviations of luma|     the same
        + histogram * W1(distributions of luma and of chroma magnitude)             the same

MS-SSIM gives the finest scale, where sharpness shows, 4 % of its weight; the SSIM term adds to
it. MS-SSIM and RGB L1 both forgive grey: where the colour is uncertain the safest answer is fog.
The last two terms price that. Cb and Cr are those of BT.709 (zero at grey); the last
term compares their magnitude averaged over 16x16 pixels, so that an uncertain hue does not
have to mean no colour.

The moments compare standard deviations of luma in windows of `WINDOWS` pixels: thermal says where
an edge is and not which side of it is bright, so a term that needs the sign averages edges away.

A network that doubts paints between the possible answers, so that its blacks are lifted and its
colours pale however sharp it is. The histogram term compares sorted values, picture by picture
(1-Wasserstein distance in one dimension): it asks for as many dark and as many colourful pixels
as the truth has, wherever they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ladle_rt.colour import CB_SPAN, CR_SPAN, LUMA
from ladle_rt.training.loss_config import LossConfig
from ladle_rt.training.ms_ssim import ssim_and_ms_ssim

POOL = 16
"""Side of the blocks over which chroma magnitude is averaged, pixels."""

BLUR = 8
"""Side of the blocks whose means the blurred term compares, pixels."""
WINDOWS = (8, 16, 32)
EVERY = 3
"""Rows and columns from one pixel to the next that the histogram term counts."""
_FLAT = 4e-4
"""Variance of luma that counts as none: 0.02 squared."""


class TranslationLoss(nn.Module):
    """Weighted sum of the terms in the module's docstring, computed in fp32."""

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, output: Tensor, truth: Tensor, pixel: float = 1.0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare a batch.

        Args:
            output: float [N,3,H,W], RGB in [0,1]; half precision is converted.
            truth: the same.
            pixel: factor on the terms that compare pixel by pixel (published, l2, ssim).

        Returns:
            The scalar loss and its unweighted terms by name, as detached scalars.
        """
        config = self.config
        output, truth = output.float(), truth.float()
        # Autocast would take the products inside SSIM to half precision, where they cancel.
        with torch.autocast(output.device.type, enabled=False):
            terms = {"l1": nn.functional.l1_loss(output, truth)}
            loss = pixel * config.published * (1 - config.alpha) * terms["l1"]
            if config.l2 > 0:
                terms["l2"] = nn.functional.mse_loss(output, truth)
                loss = loss + pixel * config.l2 * terms["l2"]
            ms_ssim_weight = config.published * config.alpha
            if ms_ssim_weight > 0 or config.ssim > 0:
                terms["ssim"], terms["ms_ssim"] = ssim_and_ms_ssim(output, truth)
                loss = loss + pixel * ms_ssim_weight * (1 - terms["ms_ssim"])
                loss = loss + pixel * config.ssim * (1 - terms["ssim"])
            if config.chroma > 0 or config.saturation > 0:
                out_chroma, true_chroma = chroma(output), chroma(truth)
                terms["chroma"] = nn.functional.l1_loss(out_chroma, true_chroma)
                terms["saturation"] = nn.functional.l1_loss(
                    _local_magnitude(out_chroma), _local_magnitude(true_chroma)
                )
                loss = loss + config.chroma * terms["chroma"]
                loss = loss + config.saturation * terms["saturation"]
            if config.blurred > 0:
                terms["blurred"] = nn.functional.l1_loss(
                    nn.functional.avg_pool2d(output, BLUR), nn.functional.avg_pool2d(truth, BLUR)
                )
                loss = loss + config.blurred * terms["blurred"]
            if config.moments > 0:
                terms["moments"] = moments(output, truth)
                loss = loss + config.moments * terms["moments"]
            if config.histogram > 0:
                terms["histogram"] = histogram_distance(output, truth)
                loss = loss + config.histogram * terms["histogram"]
        return loss, {name: value.detach() for name, value in terms.items()}


def moments(output: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute log ratio of the local standard deviations of luma, over `WINDOWS`.

    Args:
        output: float [N,3,H,W], RGB in [0,1], sides of at least 32.
        truth: the same.
    """
    ratios = []
    for side in WINDOWS:
        mine, theirs = (_deviation(luma(image), side).log() for image in (output, truth))
        ratios.append((mine - theirs).abs().mean())
    return torch.stack(ratios).mean()


def histogram_distance(output: Tensor, truth: Tensor) -> Tensor:
    """1-Wasserstein distance of the distributions of luma plus that of chroma magnitude.

    Args:
        output: float [N,3,H,W], RGB in [0,1]; every third row and column counts.
        truth: the same.
    """
    mine, theirs = (_sorted_tones(image[..., ::EVERY, ::EVERY]) for image in (output, truth))
    return nn.functional.l1_loss(mine, theirs, reduction="sum") / mine[:, :1].numel()


def pooled_histogram_distance(output: Tensor, truth: Tensor) -> Tensor:
    """`histogram_distance` of the distributions over all pictures, which need not belong together.

    Args:
        output: float [N,3,H,W], RGB in [0,1].
        truth: float [M,3,H,W]; M = 0 gives 0.
    """
    if not len(truth):
        return output.new_zeros(())
    mine, theirs = (
        _sorted_tones(image[..., ::EVERY, ::EVERY].transpose(0, 1).flatten(1)[None, ..., None])
        for image in (output, truth)
    )
    count = mine.shape[-1]
    # As many quantiles of the truth as there are pixels to compare.
    places = torch.linspace(0, theirs.shape[-1] - 1, count, device=theirs.device).round().long()
    return nn.functional.l1_loss(mine, theirs[..., places], reduction="sum") / count


def _sorted_tones(rgb: Tensor) -> Tensor:
    """Luma and chroma magnitude of each picture in rising order: [N,3,H,W] -> [N,2,HW]."""
    tones = torch.cat([luma(rgb), _magnitude(chroma(rgb))], dim=1)
    return tones.flatten(2).sort(dim=2).values


def luma(rgb: Tensor) -> Tensor:
    """BT.709 luma of an RGB batch: [N,3,H,W] -> [N,1,H,W]."""
    weights = torch.tensor(LUMA.tolist(), device=rgb.device, dtype=rgb.dtype)
    return (rgb * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def _deviation(plane: Tensor, side: int) -> Tensor:
    mean = nn.functional.avg_pool2d(plane, side)
    square = nn.functional.avg_pool2d(plane * plane, side)
    return (torch.relu(square - mean * mean) + _FLAT).sqrt()


def chroma(rgb: Tensor) -> Tensor:
    """BT.709 Cb and Cr of an RGB batch: [N,3,H,W] in [0,1] -> [N,2,H,W] in [-0.5,0.5]."""
    red, _, blue = rgb.unbind(1)
    grey = luma(rgb)[:, 0]
    return torch.stack([(blue - grey) / CB_SPAN, (red - grey) / CR_SPAN], dim=1)


def _local_magnitude(chroma: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(_magnitude(chroma), POOL)


def _magnitude(chroma: Tensor) -> Tensor:
    # The epsilon keeps the root's gradient finite at exact grey.
    return torch.sqrt(chroma.square().sum(1, keepdim=True) + 1e-6)
