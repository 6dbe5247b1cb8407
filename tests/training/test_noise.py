"""Sensor noise, and the loss term that makes a network deaf to it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import torch

from ladle_rt.training.loop import train
from ladle_rt.training.noise import FAINT, STRENGTH, codec_noise, sensor_noise
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig


def test_noise_has_the_stated_strength() -> None:
    grey = torch.full((64, 1, 64, 64), 0.5)
    for seed in range(6):
        torch.manual_seed(seed)
        spread = (sensor_noise(grey) - grey).std(dim=(1, 2, 3))
        assert spread.min() > 0.7 * STRENGTH[0] and spread.max() < 1.1 * STRENGTH[1]
    assert (grey == 0.5).all()
    assert 0 <= sensor_noise(torch.zeros(1, 1, 9, 9)).min()


def test_faint_noise_is_faint() -> None:
    grey = torch.full((64, 1, 64, 64), 0.5)
    torch.manual_seed(0)
    spread = (sensor_noise(grey, FAINT) - grey).std(dim=(1, 2, 3))
    assert spread.min() > 0.7 * FAINT[0] and spread.max() < 1.1 * FAINT[1]
    assert spread.median() < sum(FAINT) / 2, "drawn logarithmically: mostly faint"


def test_a_codec_keeps_the_picture_and_changes_detail() -> None:
    torch.manual_seed(0)
    smooth = torch.linspace(0, 1, 61)[None, None, :, None].expand(4, 1, 61, 47).contiguous()
    noisy = (smooth + 0.02 * torch.randn_like(smooth)).clamp(0, 1)
    for seed in range(6):
        torch.manual_seed(seed)
        coded = codec_noise(noisy)
        assert coded.shape == noisy.shape and not torch.equal(coded, noisy)
        assert 0 <= coded.min() and coded.max() <= 1
        assert (coded - smooth).abs().mean() < 0.04
    level = torch.full((1, 1, 16, 16), 0.5)
    assert (codec_noise(level) - level).abs().max() < 0.007, "half a step of the mean, / 8"


def test_consistency_is_learned(pairs_folder: Path, tmp_path: Path) -> None:
    """With nothing else to gain, the outputs for two draws come together."""
    config = TrainConfig(
        data=(DataSpec(pairs_folder),),
        preset="nano",
        crop=(64, 64),
        steps=60,
        batch=2,
        warmup=1,
        learning_rate=1e-2,
        workers=0,
        loss=LossConfig(published=0, l2=1e-3, consistency=10),
    )
    for name, weight in (("with", 10.0), ("without", 1e-9)):
        train(replace(config, loss=replace(config.loss, consistency=weight)), tmp_path / name)
    last = {
        name: float(list(csv.DictReader((tmp_path / name / "log.csv").open()))[-1]["consistency"])
        for name in ("with", "without")
    }
    assert last["with"] < 0.5 * last["without"]
