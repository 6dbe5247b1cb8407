"""Validation inside a run: the metrics of record on whole frames, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from ladle_rt.datasets import Pair
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.training.checkpoint import write_whole
from ladle_rt.training.loss import chroma
from ladle_rt.training.samples import whole_frame

SHEET_ROWS = 8
"""Frames on a sample sheet, spread over the validation set."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over images; data range 1."""

    ssim: float
    ms_ssim: float
    psnr_db: float
    chroma_ratio: float
    """Mean CbCr magnitude of the output over the truth's; a quick stand-in for CIELAB C*."""

    def columns(self) -> dict[str, float]:
        """The scores under their names in the run's log."""
        return {f"val_{name}": value for name, value in asdict(self).items()}

    @property
    def choice(self) -> float:
        """What the best checkpoint maximises: SSIM + MS-SSIM."""
        return self.ssim + self.ms_ssim


class Validator:
    """Holds a validation set at network size and scores a model on it."""

    def __init__(
        self, pairs: Sequence[Pair], size: tuple[int, int], spec: ThermalNormalization
    ) -> None:
        tensors = [whole_frame(pair, size, spec) for pair in pairs]
        self._thermal = torch.stack([thermal for thermal, _ in tensors])
        self._truth = torch.stack([truth for _, truth in tensors])

    def __call__(self, model: nn.Module) -> tuple[Scores, Tensor]:
        """Score ``model`` in evaluation mode; also returns its outputs [N,3,H,W]."""
        model.eval()
        with torch.no_grad():
            output = torch.cat([model(part) for part in torch.split(self._thermal, 8)])
        truth = self._truth
        psnr_db = peak_signal_noise_ratio(
            output, truth, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean"
        )
        magnitudes = [float(chroma(image).norm(dim=1).mean()) for image in (output, truth)]
        ssim = structural_similarity_index_measure(output, truth, data_range=1.0)
        scores = Scores(
            ssim=float(cast(Tensor, ssim)),
            ms_ssim=float(
                multiscale_structural_similarity_index_measure(output, truth, data_range=1.0)
            ),
            psnr_db=float(psnr_db),
            chroma_ratio=magnitudes[0] / max(magnitudes[1], 1e-9),
        )
        return scores, output

    def write_sheet(self, path: Path, output: Tensor) -> None:
        """Write thermal | output | truth, one row per frame, as a PNG."""
        count = len(output)
        picks = np.unique(np.linspace(0, count - 1, min(count, SHEET_ROWS)).round().astype(int))
        rows = [
            torch.cat([self._thermal[i].expand(3, -1, -1), output[i], self._truth[i]], dim=2)
            for i in picks
        ]
        rgb = (torch.cat(rows, dim=1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        encoded = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1]
        write_whole(path, lambda target: target.write_bytes(encoded.tobytes()))
