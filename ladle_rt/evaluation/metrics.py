"""Metrics of one image against its truth.

SSIM, MS-SSIM and PSNR are torchmetrics' (`ladle_rt.metrics.similarity`), CIELAB and CIEDE2000
scikit-image's; naturalness is `ladle_rt.evaluation.nature`'s. All take float32 RGB in [0,1].
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from ladle_rt.evaluation.nature import nature
from ladle_rt.metrics.similarity import Image, psnr_db, similarity

_delta_e: Any = deltaE_ciede2000
_lab: Any = rgb2lab

RATIOS = ("chroma", "contrast", "sharpness")
"""Fields that are read as output over truth, in `Scores` as ``<name>_ratio``."""


@dataclass(frozen=True, slots=True)
class Scores:
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
    """Gradient energy of the output's luma, see `ladle_rt.evaluation.nature`."""
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
    """Perceptual distance, see `ladle_rt.evaluation.features`; ``None``: not measured."""

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


def compare(output: Image, truth: Image) -> Scores:
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
) -> dict[str, Scores]:
    """Score several images against one truth, which is converted to CIELAB only once.

    Args:
        outputs: HxWx3 float32 in [0,1] by name, sides of at least 176.
        truth: the same.
        pool: threads, one image each; NumPy and OpenCV let go of the interpreter.
        perceptual: perceptual distances by name, where they were measured.
    """
    lab_truth = _lab(truth)
    of_truth = {f"{key}_truth": value for key, value in asdict(nature(truth, lab_truth)).items()}

    def score(row: str) -> Scores:
        output = outputs[row]
        similar, lab = similarity(output, truth), _lab(output)
        return Scores(
            ssim=similar.ssim,
            ms_ssim=similar.ms_ssim,
            ms_ssim_paper=similar.ms_ssim_paper,
            psnr_db=psnr_db(output, truth),
            l1=float(np.abs(output - truth).mean()),
            ciede2000=float(_delta_e(lab, lab_truth).mean()),
            **asdict(nature(output, lab)),
            **of_truth,
            perceptual=(perceptual or {}).get(row),
        )

    each = pool.map if pool else map
    return dict(zip(outputs, each(score, outputs), strict=True))


def mean_scores(scores: list[Scores]) -> Scores:
    """Mean over images, each field by itself; at least one image."""
    means: dict[str, Any] = {}
    for field in fields(Scores):
        values = [getattr(score, field.name) for score in scores]
        means[field.name] = None if None in values else float(np.mean(values))
    return Scores(**means)
