"""The loss against independent references."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from ladle_rt.training.loss import (
    TranslationLoss,
    chroma,
    histogram_distance,
    luma,
    pooled_histogram_distance,
)
from ladle_rt.training.ms_ssim import ssim_and_ms_ssim
from ladle_rt.training.train_config import LossConfig


def images(height: int, width: int, noise: float) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    truth = torch.nn.functional.interpolate(
        torch.rand(2, 3, height // 8, width // 8), (height, width), mode="bicubic"
    ).clamp(0, 1)
    return (truth + noise * torch.randn_like(truth)).clamp(0, 1), truth


@pytest.mark.parametrize("size", [(176, 176), (192, 256)])
@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ssim_and_ms_ssim_equal_torchmetrics(size: tuple[int, int], noise: float) -> None:
    output, truth = images(*size, noise)
    # Ours leaves out the five border pixels where torchmetrics reflects the image.
    ssim, ms_ssim = ssim_and_ms_ssim(output, truth)
    expected = structural_similarity_index_measure(output, truth, data_range=1.0)
    assert float(ssim) == pytest.approx(float(expected), abs=5e-3)
    expected = multiscale_structural_similarity_index_measure(output, truth, data_range=1.0)
    assert float(ms_ssim) == pytest.approx(float(expected), abs=5e-3)
    assert [float(value) for value in ssim_and_ms_ssim(truth, truth)] == pytest.approx([1, 1])


def test_published_loss_is_the_weighted_sum() -> None:
    output, truth = images(192, 256, 0.1)
    loss, terms = TranslationLoss(LossConfig())(output, truth)
    expected = 0.84 * (1 - terms["ms_ssim"]) + 0.16 * (output - truth).abs().mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert set(terms) == {"l1", "ssim", "ms_ssim"}


def test_published_weight_scales_the_mixture_alone() -> None:
    output, truth = images(192, 256, 0.1)
    one, terms = TranslationLoss(LossConfig())(output, truth)
    both, _ = TranslationLoss(LossConfig(published=2, ssim=0.5))(output, truth)
    assert float(both) == pytest.approx(float(2 * one + 0.5 * (1 - terms["ssim"])), rel=1e-5)


def test_loss_of_the_unet_baseline() -> None:
    output, truth = images(192, 256, 0.1)
    loss, terms = TranslationLoss(LossConfig(published=0, ssim=0.8, l2=0.2))(output, truth)
    expected = 0.8 * (1 - terms["ssim"]) + 0.2 * torch.nn.functional.mse_loss(output, truth)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_half_precision_is_compared_in_full() -> None:
    output, truth = images(192, 256, 0.1)
    half = output.bfloat16()
    expected, _ = TranslationLoss(LossConfig())(half.float(), truth)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = TranslationLoss(LossConfig())(half, truth)
    assert loss.dtype == torch.float32 and torch.equal(loss, expected)


def test_colour_terms_price_grey() -> None:
    _, truth = images(192, 256, 0.0)
    grey = truth.mean(1, keepdim=True).expand_as(truth)
    _, terms = TranslationLoss(LossConfig(chroma=1, saturation=1))(grey, truth)
    assert float(terms["chroma"]) == pytest.approx(float(chroma(truth).abs().mean()), rel=1e-2)
    assert terms["saturation"] > 0.05
    _, right = TranslationLoss(LossConfig(chroma=1, saturation=1))(truth, truth)
    assert right["chroma"] == right["saturation"] == 0


def test_gradients_are_finite_at_grey() -> None:
    flat = torch.full((1, 3, 192, 256), 0.5, requires_grad=True)
    _, truth = images(192, 256, 0.0)
    loss, _ = TranslationLoss(LossConfig(chroma=1, saturation=1))(flat, truth[:1])
    loss.backward()
    assert torch.isfinite(flat.grad).all()


def test_chroma_is_bt709() -> None:
    primaries = torch.eye(3)[:, :, None, None]
    blue_difference, red_difference = chroma(primaries)[..., 0, 0].unbind(1)
    assert float(blue_difference[2]) == pytest.approx(0.5)
    assert float(red_difference[0]) == pytest.approx(0.5)
    assert torch.allclose(chroma(torch.ones(1, 3, 1, 1)), torch.zeros(1), atol=1e-6)


def test_histogram_distance_asks_for_tones_wherever_they_are() -> None:
    _, truth = images(96, 128, 0.0)
    moved = truth.roll(30, dims=3)
    assert float(histogram_distance(moved[..., ::3], truth[..., ::3])) < 0.02
    # All pixels a tenth brighter: the distributions are a tenth apart, the colours are the same.
    dim = 0.8 * truth
    assert float(histogram_distance(dim + 0.1, dim)) == pytest.approx(0.1, abs=1e-4)
    grey = luma(truth).expand_as(truth)
    away = float(chroma(truth).square().sum(1).sqrt().mean())
    assert float(histogram_distance(grey, truth)) == pytest.approx(away, rel=0.1)


def test_pooled_histograms_compare_pictures_that_do_not_belong_together() -> None:
    _, truth = images(192, 256, 0)
    assert float(pooled_histogram_distance(truth.flip(0, 2), truth.flip(2))) < 1e-3
    assert float(pooled_histogram_distance(truth[:1], truth.repeat(3, 1, 1, 1))) < 0.02
    brighter = (truth * 0.5 + 0.25).requires_grad_()
    distance = pooled_histogram_distance(brighter + 0.1, truth * 0.5 + 0.25)
    assert float(distance.detach()) == pytest.approx(0.1, abs=2e-3)
    distance.backward()
    assert brighter.grad is not None and brighter.grad.any()
    assert float(pooled_histogram_distance(truth, truth[:0])) == 0
