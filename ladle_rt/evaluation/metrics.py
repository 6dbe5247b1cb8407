"""Metrics of one image against its truth.

SSIM, MS-SSIM and PSNR are torchmetrics' with its defaults and a data range of 1, CIEDE2000 is
scikit-image's. All take float32 RGB in [0,1].
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

_delta_e: Any = deltaE_ciede2000

Image = npt.NDArray[np.float32]
"""HxWx3, RGB in [0,1]."""

PAPER_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Exponents of LadleNet's published MS-SSIM, finest scale first: they sum to 15.5, not to 1."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One image, or the mean over images."""

    ssim: float
    """Wang et al. 2004, 11x11 Gaussian window."""
    ms_ssim: float
    """Wang et al. 2003, five scales."""
    ms_ssim_paper: float
    """MS-SSIM with `PAPER_WEIGHTS` as they are, each colour channel by itself, then the mean, as in
    LadleNet's published code; the border of the coarsest scale is torchmetrics' (reflected, where
    that code leaves it out). Comparable with no other publication."""
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

    @property
    def chroma_ratio(self) -> float:
        """Chroma of the output over the truth's: 0 is grey, 1 as colourful as the truth."""
        return self.chroma / max(self.chroma_truth, 1e-9)


def compare(output: Image, truth: Image) -> Scores:
    """Score one image.

    Args:
        output: HxWx3 float32 in [0,1], sides of at least 176.
        truth: the same.
    """
    ours, theirs = _batch(output), _batch(truth)
    ssim: Any = structural_similarity_index_measure(ours, theirs, data_range=1.0)
    lab_ours, lab_theirs = rgb2lab(output), rgb2lab(truth)
    return Scores(
        ssim=float(ssim),
        ms_ssim=float(multiscale_structural_similarity_index_measure(ours, theirs, data_range=1.0)),
        ms_ssim_paper=float(
            # Channels as a batch: with these exponents the mean before the power is another value.
            multiscale_structural_similarity_index_measure(
                ours.transpose(0, 1), theirs.transpose(0, 1), data_range=1.0, betas=PAPER_WEIGHTS
            )
        ),
        psnr_db=float(peak_signal_noise_ratio(ours, theirs, data_range=1.0)),
        l1=float(np.abs(output - truth).mean()),
        chroma=_chroma(lab_ours),
        chroma_truth=_chroma(lab_theirs),
        ciede2000=float(_delta_e(lab_ours, lab_theirs).mean()),
    )


def mean_scores(scores: list[Scores]) -> Scores:
    """Mean over images, each field by itself; at least one image."""
    return Scores(
        **{
            field.name: float(np.mean([getattr(score, field.name) for score in scores]))
            for field in fields(Scores)
        }
    )


def _chroma(lab: npt.NDArray[Any]) -> float:
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def _batch(image: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
