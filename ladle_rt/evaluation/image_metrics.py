"""Metrics of one image, against its truth and by itself.

SSIM, MS-SSIM and PSNR are torchmetrics' (`ladle_rt.similarity`), CIELAB and CIEDE2000
scikit-image's. Statistics of the image by itself (contrast, colour, sharpness, blacks) involve no
pixel of the truth: a painted picture is as natural as the truth where both have the same. Fog
shows as little contrast and a high black point, blur as little sharpness, and neither shows in
SSIM. All take float32 RGB in [0,1].
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.colour import LUMA
from ladle_rt.similarity import Image, psnr_db, similarity

BLACK_PERCENTILE = 1.0
RATIOS = ("chroma", "contrast", "sharpness")
"""Fields that are read as output over truth, in `ImageScores` as ``<name>_ratio``."""


@dataclass(frozen=True, slots=True)
class ImageScores:
    """One image, or the mean over images."""

    ssim: float
    """Wang et al. 2004, 11x11 Gaussian window."""
    ms_ssim: float
    """Wang et al. 2003, five scales."""
    ms_ssim_paper: float
    """MS-SSIM with LadleNet's exponents as they are, each colour channel by itself, then the mean,
    as in LadleNet's published code; the border of the coarsest scale is torchmetrics' (reflected,
    where that code leaves it out). Comparable with no other publication."""
    psnr_db: float
    """Decibels; infinite for equal images."""
    l1: float
    """Mean absolute difference, RGB in [0,1]."""
    chroma: float
    """Mean CIELAB C* of the output."""
    chroma_truth: float
    """Mean CIELAB C* of the truth."""
    ciede2000: float
    """Mean colour difference, Sharma et al. 2005."""
    contrast: float
    """Standard deviation of the output's L*."""
    contrast_truth: float
    """The truth's."""
    sharpness: float
    """Gradient energy of the output's luma, see `gradient_energy`."""
    sharpness_truth: float
    """The truth's."""
    colourfulness: float
    """Of the output, Hasler & Süsstrunk 2003."""
    colourfulness_truth: float
    """Of the truth."""
    black_point: float
    """1st percentile of the output's L*."""
    black_point_truth: float
    """1st percentile of the truth's L*."""
    perceptual: float | None = None
    """Perceptual distance, see `ladle_rt.evaluation.perceptual`; ``None``: not measured."""

    @property
    def chroma_ratio(self) -> float:
        """Chroma of the output over the truth's: 0 is grey, 1 as colourful as the truth."""
        return self._ratio("chroma")

    @property
    def contrast_ratio(self) -> float:
        """Contrast of the output over the truth's."""
        return self._ratio("contrast")

    @property
    def sharpness_ratio(self) -> float:
        """Gradient energy of the output over the truth's."""
        return self._ratio("sharpness")

    def _ratio(self, name: str) -> float:
        return float(getattr(self, name) / max(getattr(self, f"{name}_truth"), 1e-9))


def compare(output: Image, truth: Image) -> ImageScores:
    """Score one image.

    Args:
        output: HxWx3 float32 in [0,1], sides of at least 176.
        truth: the same.
    """
    return compare_rows({"": output}, truth)[""]


def compare_rows(
    outputs: Mapping[str, Image],
    truth: Image,
    pool: Executor | None = None,
    perceptual: Mapping[str, float] | None = None,
) -> dict[str, ImageScores]:
    """Score several images against one truth, which is converted to CIELAB only once.

    Args:
        outputs: HxWx3 float32 in [0,1] by name, sides of at least 176.
        truth: the same.
        pool: threads, one image each; NumPy and OpenCV let go of the interpreter.
        perceptual: perceptual distances by name, where they were measured.
    """
    # Tables and video figures need none of it, and run without the extra ``train``.
    from skimage.color import deltaE_ciede2000, rgb2lab

    delta_e: Any = deltaE_ciede2000
    lab_truth = rgb2lab(truth)
    of_truth = {
        f"{key}_truth": value for key, value in asdict(image_statistics(truth, lab_truth)).items()
    }

    def score(row: str) -> ImageScores:
        output = outputs[row]
        similar, lab = similarity(output, truth), rgb2lab(output)
        return ImageScores(
            ssim=similar.ssim,
            ms_ssim=similar.ms_ssim,
            ms_ssim_paper=similar.ms_ssim_paper,
            psnr_db=psnr_db(output, truth),
            l1=float(np.abs(output - truth).mean()),
            ciede2000=float(delta_e(lab, lab_truth).mean()),
            **asdict(image_statistics(output, lab)),
            **of_truth,
            perceptual=(perceptual or {}).get(row),
        )

    each = pool.map if pool else map
    return dict(zip(outputs, each(score, outputs), strict=True))


def mean_scores(scores: list[ImageScores]) -> ImageScores:
    """Mean over images, each field by itself; at least one image."""
    means: dict[str, Any] = {}
    for field in fields(ImageScores):
        values = [getattr(score, field.name) for score in scores]
        means[field.name] = None if None in values else float(np.mean(values))
    return ImageScores(**means)


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """One picture."""

    chroma: float
    """Mean CIELAB C*."""
    contrast: float
    """Standard deviation of L*."""
    sharpness: float
    """Gradient energy, see `gradient_energy`."""
    colourfulness: float
    """Hasler & Süsstrunk 2003, see `colourfulness`."""
    black_point: float
    """1st percentile of L*."""


def image_statistics(image: Image, lab: npt.NDArray[Any]) -> ImageStatistics:
    """Measure one picture.

    Args:
        image: HxWx3 float32 RGB in [0,1].
        lab: the same picture in CIELAB, HxWx3, L* in [0,100].
    """
    return ImageStatistics(
        chroma=float(np.hypot(lab[..., 1], lab[..., 2]).mean()),
        contrast=float(lab[..., 0].std(dtype=np.float64)),
        sharpness=gradient_energy(image),
        colourfulness=colourfulness(image),
        black_point=float(np.percentile(lab[..., 0], BLACK_PERCENTILE)),
    )


def gradient_energy(image: Image) -> float:
    """Mean of gx^2 + gy^2 of luma, g being the difference of neighbouring pixels.

    Args:
        image: HxWx3 float32 RGB in [0,1], sides of at least 2.
    """
    luma = image @ LUMA
    return sum(float(np.square(np.diff(luma, axis=axis)).mean(dtype=np.float64)) for axis in (0, 1))


def colourfulness(image: Image) -> float:
    """The measure M^(3) of Hasler & Süsstrunk, "Measuring colorfulness in natural images", 2003.

    Args:
        image: HxWx3 float32 RGB in [0,1].

    Returns:
        On the paper's scale of 8-bit counts: 0 grey, 33 averagely, 82 quite, 109 extremely
        colourful.
    """
    red, green, blue = np.moveaxis(image.astype(np.float64) * 255, -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))
