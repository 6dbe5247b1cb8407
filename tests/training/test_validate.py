"""Validation: batches do not show in the scores, and the sheet shows what was scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from ladle_rt.datasets import find_pairs
from ladle_rt.training import validate
from ladle_rt.training.loss import chroma
from ladle_rt.training.sample_tensors import validation_frame
from ladle_rt.training.train_config import DataSpec, TrainConfig
from ladle_rt.training.validate import Validator


class Grey(nn.Module):
    """Shows the thermal image, a little dimmed."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.9))

    def forward(self, thermal: Tensor) -> Tensor:
        """[N,1,H,W] -> [N,3,H,W]."""
        assert not self.training
        return (thermal * self.gain).expand(-1, 3, -1, -1)


def test_scores_are_means_over_images(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(data=(DataSpec(pairs_folder),))
    pairs = find_pairs(pairs_folder)
    frames = [validation_frame(pair, config) for pair in pairs]
    thermal, truth = (torch.stack(part) for part in zip(*frames, strict=True))
    output = (thermal * 0.9).expand(-1, 3, -1, -1)
    # Six images in fours: the last batch is smaller.
    monkeypatch.setattr(validate, "BATCH", 4)
    monkeypatch.setattr(validate, "SHEET_ROWS", 3)
    validator = Validator(pairs, config)
    scores, shown = validator(Grey())
    expected = (
        structural_similarity_index_measure(output, truth, data_range=1.0),
        multiscale_structural_similarity_index_measure(output, truth, data_range=1.0),
        peak_signal_noise_ratio(output, truth, data_range=1.0, dim=(1, 2, 3)),
    )
    assert (scores.ssim, scores.ms_ssim, scores.psnr_db) == pytest.approx(
        [float(value) for value in expected], rel=1e-4
    )
    assert scores.chroma_ratio == pytest.approx(0, abs=1e-6) and chroma(truth).abs().max() > 0.1
    validator.write_sheet(tmp_path / "sheet.png", shown)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None and sheet.shape == (3 * 192, 3 * 256, 3)
    # The last row is the last pair: thermal, output, truth.
    row = cv2.cvtColor(sheet[-192:], cv2.COLOR_BGR2RGB).astype(float) / 255
    for column, image in enumerate((thermal[-1].expand(3, -1, -1), output[-1], truth[-1])):
        part = row[:, column * 256 : (column + 1) * 256]
        assert np.abs(part - image.permute(1, 2, 0).numpy()).max() < 0.6 / 255


def test_paper_sampling_validates_on_the_centre(pairs_folder: Path) -> None:
    config = TrainConfig(data=(DataSpec(pairs_folder),))
    pairs = find_pairs(pairs_folder)
    whole = Validator(pairs, config)(Grey())[0]
    centre = Validator(pairs, replace(config, sampling="paper"))(Grey())[0]
    assert centre.psnr_db != pytest.approx(whole.psnr_db, abs=1e-3)
