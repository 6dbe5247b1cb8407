"""Validation inside a run: the metrics of record on whole frames, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from ladle_rt.colour import encode_png
from ladle_rt.datasets import Pair
from ladle_rt.files import write_bytes
from ladle_rt.models.image_features import ImageFeatures, perceptual_distance
from ladle_rt.training.loss import chroma, luma
from ladle_rt.training.sample_tensors import validation_frame
from ladle_rt.training.train_config import TrainConfig

SHEET_ROWS = 8
"""Frames on a sample sheet, spread over the validation set."""
BATCH = 8
"""Frames scored at a time."""


@dataclass(frozen=True, slots=True)
class ValidationScores:
    """Means over images; data range 1."""

    ssim: float
    ms_ssim: float
    psnr_db: float
    chroma_ratio: float
    """Mean CbCr magnitude of the output over the truth's; a quick stand-in for CIELAB C*."""
    contrast_ratio: float
    """Standard deviation of luma over whole frames, of the output over the truth's."""
    sharpness_ratio: float
    """Mean squared step of luma from pixel to pixel, of the output over the truth's."""
    perceptual: float | None = None
    """Distance of the image features that the run trains on, where it does; lower is better."""

    def columns(self) -> dict[str, float]:
        """The scores under their names in the run's log."""
        return {f"val_{name}": value for name, value in asdict(self).items() if value is not None}

    def rounded(self) -> dict[str, float]:
        """The scores as a model's JSON says them."""
        return {
            name: round(value, 2 if name == "psnr_db" else 4)
            for name, value in asdict(self).items()
            if value is not None
        }

    @property
    def choice(self) -> float:
        """What the best checkpoint maximises: structure, less the perceptual distance.

        Where the run has no perceptual term it is SSIM + MS-SSIM.
        """
        if self.perceptual is None:
            return self.ssim + self.ms_ssim
        return self.ms_ssim - self.perceptual


class Validator:
    """Holds a validation set at network size and scores a model on it, in fp32.

    Its memory is 0.34 MB a pair at 192x256.
    """

    def __init__(self, pairs: Sequence[Pair], config: TrainConfig) -> None:
        frames = [validation_frame(pair, config) for pair in pairs]
        self._thermal = torch.stack([thermal for thermal, _ in frames])
        # They were uint8 on disk.
        self._truth = torch.stack([(truth * 255).round().to(torch.uint8) for _, truth in frames])
        picks = np.linspace(0, len(pairs) - 1, min(len(pairs), SHEET_ROWS)).round()
        self._shown = np.unique(picks.astype(int)).tolist()

    def __call__(
        self, model: nn.Module, features: ImageFeatures | None = None
    ) -> tuple[ValidationScores, Tensor]:
        """Score ``model`` in evaluation mode, on its device.

        Args:
            model: the network.
            features: what the perceptual distance is measured on, if it is.

        Returns:
            The scores, and the outputs [n,3,H,W] in [0,1] that a sheet shows, on the CPU.
        """
        model.eval()
        device = next(model.parameters()).device
        total, shown = torch.zeros(10, device=device), []
        for start in range(0, len(self._thermal), BATCH):
            thermal = self._thermal[start : start + BATCH].to(device)
            truth = self._truth[start : start + BATCH].to(device) / 255
            with torch.no_grad():
                output = model(thermal).float()
                total += len(thermal) * _score(output, truth, features)
            shown += [output[i - start].cpu() for i in self._shown if 0 <= i - start < BATCH]
        means = (total / len(self._thermal)).tolist()
        ratios = [mine / max(true, 1e-9) for mine, true in zip(means[3:6], means[6:9], strict=True)]
        scores = ValidationScores(*means[:3], *ratios)
        if features is not None:
            scores = replace(scores, perceptual=means[9])
        return scores, torch.stack(shown)

    def write_sheet(self, path: Path, shown: Tensor) -> None:
        """Write thermal | output | truth, one row per frame, as a PNG."""
        rows = [
            torch.cat([self._thermal[i].expand(3, -1, -1), output, self._truth[i] / 255], dim=2)
            for i, output in zip(self._shown, shown, strict=True)
        ]
        rgb = (torch.cat(rows, dim=1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        write_bytes(path, encode_png(rgb))


def _score(output: Tensor, truth: Tensor, features: ImageFeatures | None) -> Tensor:
    """Means over a batch: SSIM, MS-SSIM, PSNR; `_strength` of both; perceptual distance."""
    psnr_db = peak_signal_noise_ratio(
        output, truth, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean"
    )
    ssim = structural_similarity_index_measure(output, truth, data_range=1.0)
    ms_ssim = multiscale_structural_similarity_index_measure(output, truth, data_range=1.0)
    far = (
        torch.zeros_like(psnr_db)
        if features is None
        else perceptual_distance(features(output), features(truth))
    )
    similar = [cast(Tensor, ssim), ms_ssim, psnr_db]
    return torch.stack([*similar, *_strength(output), *_strength(truth), far])


def _strength(rgb: Tensor) -> list[Tensor]:
    """Chroma magnitude, deviation of luma and mean squared step of luma, means over a batch."""
    grey = luma(rgb)
    steps = grey.diff(dim=2).square().mean() + grey.diff(dim=3).square().mean()
    return [chroma(rgb).norm(dim=1).mean(), grey.std(dim=(1, 2, 3)).mean(), steps]
