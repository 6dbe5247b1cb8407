"""Samples are determined by seed and index, bounded, and come from the right pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ladle_rt.datasets import find_pairs
from ladle_rt.errors import ConfigError, DatasetError
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.training.augment import jitter_tone, random_box
from ladle_rt.training.config import DataSpec, TrainConfig
from ladle_rt.training.samples import (
    MixedSamples,
    PairReader,
    mosaic,
    select_pairs,
    whole_frame,
)


def config(folder: Path, **values: object) -> TrainConfig:
    return TrainConfig(data=(DataSpec(folder),), steps=4, batch=2, **values)  # type: ignore[arg-type]


def test_samples_are_bounded_and_of_crop_size(pairs_folder: Path) -> None:
    samples = MixedSamples(config(pairs_folder))
    assert len(samples) == 8
    for index in range(len(samples)):
        thermal, visible = samples[index]
        assert thermal.shape == (1, 192, 256) and visible.shape == (3, 192, 256)
        assert thermal.dtype == visible.dtype == torch.float32
        assert min(thermal.min(), visible.min()) >= 0 and max(thermal.max(), visible.max()) <= 1


def test_samples_depend_on_seed_and_index_alone(pairs_folder: Path) -> None:
    first, second = (MixedSamples(config(pairs_folder)) for _ in range(2))
    second[0]
    assert torch.equal(first[5][0], second[5][0])
    assert not torch.equal(first[5][0], first[4][0])
    assert not torch.equal(first[5][0], MixedSamples(config(pairs_folder, seed=2))[5][0])


def test_thermal_and_visible_stay_aligned(pairs_folder: Path) -> None:
    # The fixture's green channel is the thermal image: whatever the crop and flip, the two
    # must correlate, since tone changes are monotone.
    samples = MixedSamples(config(pairs_folder))
    for index in range(8):
        thermal, visible = samples[index]
        green = visible[1].flatten()
        assert np.corrcoef(thermal.flatten(), green)[0, 1] > 0.9


def test_weights_decide_the_mixture(pairs_folder: Path, tmp_path: Path) -> None:
    specs = (DataSpec(pairs_folder, weight=1e-9), DataSpec(pairs_folder, kind="mosaic", weight=1))
    mixed = MixedSamples(replace(config(pairs_folder), data=specs))
    alone = MixedSamples(replace(config(pairs_folder), data=specs[1:]))
    assert mixed.counts() == {str(pairs_folder): 6}

    # Mosaics have hard seams; scenes of the fixture are smooth.
    def steepest(samples: MixedSamples) -> float:
        return max(float(samples[i][1].diff(dim=2).abs().max()) for i in range(4))

    smooth = MixedSamples(config(pairs_folder))
    assert min(steepest(mixed), steepest(alone)) > 2 * steepest(smooth)


def test_mosaic_fills_the_frame(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder)
    thermal, visible = mosaic(pairs, PairReader((64, 64)), (192, 256), np.random.default_rng(0))
    assert thermal.shape == (192, 256) and visible.shape == (192, 256, 3)
    assert thermal[:, -1].any() and thermal[-1].any()


def test_filters(pairs_folder: Path) -> None:
    kept = select_pairs(DataSpec(pairs_folder, exclude=("000", "003")))
    assert [pair.name for pair in kept] == ["001", "002", "004", "005"]
    with pytest.raises(DatasetError, match="no pair left"):
        select_pairs(DataSpec(pairs_folder, lights=("night",)))


def test_batch_larger_than_the_data_is_refused(pairs_folder: Path) -> None:
    with pytest.raises(ConfigError, match="at most the 6 pairs"):
        MixedSamples(replace(config(pairs_folder), batch=7))


def test_whole_frame_is_not_augmented(pairs_folder: Path) -> None:
    (pair, *_) = find_pairs(pairs_folder)
    first, second = (whole_frame(pair, (192, 256), ThermalNormalization()) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert first[1].shape == (3, 192, 256)


def test_boxes_stay_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        top, left, height, width = random_box(40, 60, rng)
        assert 0 <= top and top + height <= 40 and 0 <= left and left + width <= 60
        assert height >= 20 and width >= 25


def test_tone_jitter_is_monotone() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None]
    for seed in range(20):
        bent = jitter_tone(ramp, np.random.default_rng(seed))
        assert (np.diff(bent) >= 0).all() and 0 <= bent.min() and bent.max() <= 1
