"""Metrics against their formulas in plain NumPy, and against published values."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage.color import deltaE_ciede2000
from torchmetrics.functional import image as torchmetrics

from ladle_rt.evaluation.image_metrics import ImageScores, compare, compare_rows, mean_scores
from ladle_rt.similarity import PAPER_WEIGHTS, psnr_db
from ladle_rt.similarity import similarity as similarity_of

Image = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float64]

# Sharma, Wu, Dalal 2005, table 1: L*a*b* of both colours, then the difference.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def image(seed: int) -> Image:
    rng = np.random.default_rng(seed)
    coarse = rng.random((24, 32, 3), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC), 0, 1)


@pytest.fixture(scope="module")
def truth() -> Image:
    return image(0)


@pytest.fixture(scope="module")
def output(truth: Image) -> Image:
    """Like the truth, less so in red than in blue."""
    return np.clip(truth + np.float32([0.8, 0.3, 0.1]) * (image(1) - 0.5), 0, 1)


@pytest.fixture(scope="module")
def scores(output: Image, truth: Image) -> ImageScores:
    return compare(output, truth)


def flat(*rgb: float) -> Image:
    return np.broadcast_to(np.float32(rgb), (192, 256, 3)).copy()


def similarity(x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """SSIM of Wang et al. 2004 and its contrast-structure part where the 11x11 window fits."""

    def blur(m: Plane) -> Plane:
        return cv2.GaussianBlur(m, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101)

    mx, my = blur(x), blur(y)
    xx, yy, xy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    contrast = (2 * xy + 0.03**2) / (xx + yy + 0.03**2)
    whole = contrast * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
    return whole, contrast[5:-5, 5:-5]


def multiscale(x: Plane, y: Plane, weights: Sequence[float]) -> float:
    """MS-SSIM of Wang et al. 2003: contrast at all scales, full SSIM at the coarsest."""
    value = 1.0
    for scale, weight in enumerate(weights):
        whole, contrast = similarity(x, y)
        value *= max((whole if scale == 4 else contrast).mean(), 0.0) ** weight
        x, y = (
            cv2.resize(m, (m.shape[1] // 2, m.shape[0] // 2), interpolation=cv2.INTER_AREA)
            for m in (x, y)
        )
    return value


def test_similarity_against_its_formula(scores: ImageScores, output: Image, truth: Image) -> None:
    x, y = output.astype(float), truth.astype(float)
    assert scores.ssim == pytest.approx(similarity(x, y)[0].mean(), abs=1e-4)
    published = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    assert scores.ms_ssim == pytest.approx(multiscale(x, y, published), abs=1e-4)


@pytest.mark.parametrize("size", [(192, 256), (177, 251)])
@pytest.mark.parametrize("blend", [-1.0, 0.0, 0.3, 0.95])
def test_similarity_is_that_of_torchmetrics(size: tuple[int, int], blend: float) -> None:
    rng = np.random.default_rng(3)
    truth, other = (
        np.clip(cv2.resize(rng.random((30, 40, 3), dtype=np.float32), size[::-1]), 0, 1)
        for _ in range(2)
    )
    output = np.clip(blend * truth + (1 - abs(blend)) * other + (blend < 0), 0, 1)
    ours = similarity_of(output, truth)
    x, y = (torch.from_numpy(m.transpose(2, 0, 1).copy())[None] for m in (output, truth))
    ssim = torchmetrics.structural_similarity_index_measure(x, y, data_range=1.0)
    multi = torchmetrics.multiscale_structural_similarity_index_measure
    apart = multi(x.transpose(0, 1), y.transpose(0, 1), data_range=1.0, betas=PAPER_WEIGHTS)
    psnr = torchmetrics.peak_signal_noise_ratio(x, y, data_range=1.0)
    assert ours.ssim == pytest.approx(float(ssim), abs=1e-5)
    assert ours.ms_ssim == pytest.approx(float(multi(x, y, data_range=1.0)), abs=1e-5)
    assert ours.ms_ssim_paper == pytest.approx(float(apart), abs=1e-5)
    assert psnr_db(output, truth) == pytest.approx(float(psnr), abs=1e-4)


def test_rows_score_as_alone_and_in_any_number_of_threads(output: Image, truth: Image) -> None:
    images = {"a": output, "b": truth, "c": 1 - output}
    alone = {name: compare(one, truth) for name, one in images.items()}
    assert compare_rows(images, truth) == alone
    with ThreadPoolExecutor(3) as pool:
        assert compare_rows(images, truth, pool) == alone


def test_ms_ssim_of_the_paper_is_a_product_per_channel(
    scores: ImageScores, output: Image, truth: Image
) -> None:
    x, y = output.astype(float), truth.astype(float)
    weights = (0.5, 1.0, 2.0, 4.0, 8.0)
    by_channel = [multiscale(x[..., c], y[..., c], weights) for c in range(3)]
    assert scores.ms_ssim_paper == pytest.approx(np.mean(by_channel), abs=1e-4)
    # The channels together would be another value: the test tells the two apart.
    assert abs(multiscale(x, y, weights) - np.mean(by_channel)) > 0.01


def test_differences_against_their_formulas(
    scores: ImageScores, output: Image, truth: Image
) -> None:
    x, y = output.astype(float), truth.astype(float)
    assert scores.psnr_db == pytest.approx(-10 * np.log10(((x - y) ** 2).mean()), abs=1e-3)
    assert scores.l1 == pytest.approx(np.abs(x - y).mean(), rel=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ciede2000_of_sharma_et_al(dtype: type) -> None:
    table = np.array([row.split() for row in SHARMA.strip().splitlines()], float)
    assert table.shape == (34, 7)
    ours = deltaE_ciede2000(table[:, :3].astype(dtype), table[:, 3:6].astype(dtype))
    # The hue of rows 9 to 15 jumps at 180 degrees, where float32 may choose the other side.
    keep = np.full(34, True) if dtype is np.float64 else np.abs(np.arange(34) - 11) > 3
    assert ours[keep] == pytest.approx(table[keep, 6], abs=1e-4 if dtype is np.float64 else 5e-4)


def test_colour_against_published_lab_values() -> None:
    # sRGB red is L* 53.24, a* 80.09, b* 67.20 and blue 32.30, 79.19, -107.86 under D65.
    scores = compare(flat(1, 0, 0), flat(0, 0, 1))
    assert scores.chroma == pytest.approx(np.hypot(80.09, 67.20), abs=0.02)
    assert scores.chroma_truth == pytest.approx(np.hypot(79.19, -107.86), abs=0.02)
    assert scores.ciede2000 == pytest.approx(52.88, abs=0.01)


def test_grey_has_no_chroma_and_the_truth_no_difference(truth: Image) -> None:
    grey = np.repeat(truth.mean(axis=2, keepdims=True), 3, axis=2)
    assert compare(grey, truth).chroma_ratio == pytest.approx(0, abs=1e-3)
    same = compare(truth, truth)
    assert (same.chroma_ratio, same.ciede2000, same.l1, same.psnr_db) == (1, 0, 0, np.inf)
    for value in (same.ssim, same.ms_ssim, same.ms_ssim_paper):
        assert value == pytest.approx(1, abs=1e-5)


def test_opposites_score_numbers(truth: Image) -> None:
    """Negative correlation: no power of a negative number, which would be NaN."""
    opposite = compare(1 - truth, truth)
    assert opposite.ssim < 0
    assert (opposite.ms_ssim, opposite.ms_ssim_paper) == (0, 0)


def test_chroma_ratio_of_a_set_is_that_of_all_its_pixels() -> None:
    pale, vivid = flat(0.5, 0.45, 0.45), flat(1, 0, 0)
    scores = [compare(pale, pale), compare(pale, vivid)]
    both = mean_scores(scores)
    assert both.chroma_ratio == pytest.approx(
        2 * scores[0].chroma / (scores[0].chroma_truth + scores[1].chroma_truth)
    )
    assert both.chroma_ratio < np.mean([score.chroma_ratio for score in scores]) / 2
    assert both.l1 == pytest.approx(scores[1].l1 / 2)
