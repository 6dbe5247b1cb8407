"""Samples are determined by seed and index, bounded, and come from the right pairs."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ladle_rt.datasets import find_pairs, read_visible
from ladle_rt.datasets.labels import UNSURE
from ladle_rt.errors import ConfigError, DatasetError
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.training.augment import jitter_tone, random_box
from ladle_rt.training.data_spec import DataSpec, select_pairs
from ladle_rt.training.loss_config import LossConfig
from ladle_rt.training.pair_reader import PairReader
from ladle_rt.training.sample_tensors import validation_frame, whole_frame
from ladle_rt.training.samples import MixedSamples, batch_at, mosaic
from ladle_rt.training.train_config import TrainConfig


def config(folder: Path, **values: Any) -> TrainConfig:
    return TrainConfig(**{"data": (DataSpec(folder),), "steps": 4, "batch": 2, **values})


def test_samples_are_bounded_and_of_crop_size(pairs_folder: Path) -> None:
    samples = MixedSamples(config(pairs_folder))
    assert len(samples) == 8
    for index in range(len(samples)):
        thermal, visible, *_ = samples[index]
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
        thermal, visible, *_ = samples[index]
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


def test_without_weights_every_pair_counts_alike(pairs_folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(pairs_folder, tmp_path / "other")
    data = (DataSpec(pairs_folder), DataSpec(other, include=("000",)))
    samples = MixedSamples(config(pairs_folder, data=data))
    drawn = [samples.describe(index) for index in range(140)]
    assert 8 <= sum("other" in name for name in drawn) <= 34


def test_mosaic_fills_the_frame(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder)
    read = PairReader((64, 64))
    crops = itertools.cycle(pairs)
    thermal, visible, labels = mosaic(
        lambda: read(next(crops)), (192, 256), np.random.default_rng(0)
    )
    assert thermal.shape == (192, 256) and visible.shape == (192, 256, 3)
    assert thermal[:, -1].any() and thermal[-1].any() and labels is None


def test_filters(pairs_folder: Path) -> None:
    kept = select_pairs(DataSpec(pairs_folder, exclude=("000", "003")))
    assert [pair.name for pair in kept] == ["001", "002", "004", "005"]
    with pytest.raises(DatasetError, match="no pair left"):
        select_pairs(DataSpec(pairs_folder, lights=("night",)))


def test_names_are_kept_and_left_out_by_their_first_parts(tmp_path: Path) -> None:
    for drive in ("set00/V000", "set00/V001", "set02/V000"):
        for number in range(2):
            for folder in ("lwir", "visible"):
                path = tmp_path / "kaist" / drive / folder / f"I{number:05d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    def names(**fields: Any) -> list[str]:
        return [pair.name for pair in select_pairs(DataSpec(tmp_path / "kaist", **fields))]

    assert names(include=("set02",)) == ["set02/V000/I00000", "set02/V000/I00001"]
    kept = names(exclude=("set00/V000", "set02/V000/I00001"), include=("set00", "set02"))
    assert kept == ["set00/V001/I00000", "set00/V001/I00001", "set02/V000/I00000"]
    assert names(exclude=("set0",)) == names()
    assert names(drives=("set02/V000",)) == names(include=("set02",))
    assert names(exclude_drives=("set02/V000",)) == names(exclude=("set02/V000",))
    # A split that need not be there.
    assert names(split="train?") == names(split="val?") == names()
    (tmp_path / "kaist/set00").rename(tmp_path / "kaist/set06")
    assert names(split="train?") == ["set02/V000/I00000", "set02/V000/I00001"]


def test_subset_is_spread_over_the_pairs(pairs_folder: Path) -> None:
    kept = [pair.name for pair in select_pairs(DataSpec(pairs_folder, subset=3))]
    assert len(kept) == 3 and kept == sorted(kept) and kept[-1] > "002"
    assert len(select_pairs(DataSpec(pairs_folder, subset=99))) == 6
    assert MixedSamples(config(pairs_folder, batch=2, data=(DataSpec(pairs_folder, subset=2),)))
    with pytest.raises(ConfigError, match="at most the 2 pairs"):
        MixedSamples(config(pairs_folder, batch=3, data=(DataSpec(pairs_folder, subset=2),)))


def test_paper_epochs_visit_every_pair_once(pairs_folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(pairs_folder, tmp_path / "other")
    data = (DataSpec(pairs_folder, weight=9), DataSpec(other, include=("000", "001")))
    samples = MixedSamples(config(pairs_folder, data=data, sampling="paper", epochs=3, batch=5))
    # Three times eight in batches of five.
    assert samples.steps == 5 and len(samples) == 25
    epochs = [[samples.describe(8 * epoch + i) for i in range(8)] for epoch in range(3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert len(set(epochs[0])) == 8 and epochs[0] != epochs[1] != epochs[2]
    again = MixedSamples(config(pairs_folder, data=data, sampling="paper", epochs=3, batch=5))
    assert again.describe(13) == epochs[1][5] and torch.equal(again[13][0], samples[13][0])
    other_seed = replace(config(pairs_folder, data=data, sampling="paper"), seed=2)
    assert [MixedSamples(other_seed).describe(i) for i in range(8)] != epochs[0]


def test_paper_samples_are_the_centre_of_300x400(pairs_folder: Path) -> None:
    settings = config(pairs_folder, sampling="paper")
    samples = MixedSamples(settings)
    pair = next(p for p in find_pairs(pairs_folder) if str(p.thermal) == samples.describe(0))
    thermal, visible, *_ = samples[0]
    whole = cv2.resize(cv2.imread(str(pair.visible)), (400, 300), interpolation=cv2.INTER_LINEAR)
    centre = whole[54:246, 72:328, ::-1].transpose(2, 0, 1)
    assert np.abs(visible.numpy() * 255 - centre).max() <= 1
    assert thermal.shape == (1, 192, 256)
    # What the run validates on is prepared in the same way.
    validated = validation_frame(pair, settings)
    assert torch.equal(validated[0], thermal) and torch.equal(validated[1], visible)
    plain = validation_frame(pair, config(pairs_folder))
    assert torch.equal(plain[1], whole_frame(pair, (192, 256), ThermalNormalization())[1])


def test_epochs_of_augmented_samples_set_the_length_alone(pairs_folder: Path) -> None:
    counted = MixedSamples(config(pairs_folder, epochs=2))
    assert counted.steps == 6
    assert torch.equal(counted[3][0], MixedSamples(config(pairs_folder))[3][0])


def test_samples_say_what_they_are_made_of(pairs_folder: Path) -> None:
    samples = MixedSamples(config(pairs_folder))
    assert Path(samples.describe(0)).parent == pairs_folder / "ir"
    assert samples.describe(0) == samples.describe(0)
    tiled = MixedSamples(config(pairs_folder, data=(DataSpec(pairs_folder, kind="mosaic"),)))
    assert len(tiled.describe(0).split(", ")) > 1


@pytest.mark.parametrize(
    ("kind", "sampling"), [("scene", "augmented"), ("mosaic", "augmented"), ("scene", "paper")]
)
def test_flat_thermal_is_exchanged_for_another_pair(
    pairs_folder: Path, kind: str, sampling: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (0, 2, 3):
        path = str(pairs_folder / "ir" / f"{number:03d}.png")
        cv2.imwrite(path, np.zeros_like(cv2.imread(path, cv2.IMREAD_UNCHANGED)))
    data = (DataSpec(pairs_folder, kind=kind),)  # type: ignore[arg-type]
    first = MixedSamples(config(pairs_folder, data=data, sampling=sampling))
    used = {name for i in range(8) for name in first.describe(i).split(", ")}
    assert {Path(name).stem for name in used} <= {"001", "004", "005"}
    assert len(caplog.records) == 1 and "the next pair takes its place" in caplog.text
    second = MixedSamples(config(pairs_folder, data=data, sampling=sampling))
    assert [second.describe(i) for i in (7, 2)] == [first.describe(i) for i in (7, 2)]
    assert torch.equal(first[5][0], second[5][0]) and first[5][0].max() > 0


def test_flat_thermal_everywhere_is_refused(pairs_folder: Path) -> None:
    for path in (pairs_folder / "ir").iterdir():
        cv2.imwrite(str(path), np.zeros((200, 260), np.uint8))
    for sampling in ("augmented", "paper"):
        with pytest.raises(DatasetError, match="received only ones whose pixels are all equal"):
            MixedSamples(config(pairs_folder, sampling=sampling))


def test_pairs_of_two_aspect_ratios_are_refused_early(pairs_folder: Path) -> None:
    for path in (pairs_folder / "vi").iterdir():
        cv2.imwrite(str(path), np.zeros((200, 200, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"260x200 and .* is 200x200: expected one aspect ratio"):
        MixedSamples(config(pairs_folder))


def test_validation_pairs_are_found_early_and_told_from_trained_ones(
    pairs_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    half = DataSpec(pairs_folder, include=("000", "001", "002"))
    rest = DataSpec(pairs_folder, exclude=half.include)
    apart = MixedSamples(config(pairs_folder, data=(half,), validation=(rest,)))
    assert [pair.name for pair in apart.validation] == ["003", "004", "005"]
    assert not caplog.records
    MixedSamples(config(pairs_folder, data=(half,), validation=(DataSpec(pairs_folder),)))
    assert "3 of the 6 validation pairs are trained on too" in caplog.text
    with pytest.raises(DatasetError, match="no pair left"):
        MixedSamples(config(pairs_folder, validation=(replace(rest, lights=("night",)),)))


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


def test_some_steps_are_larger_in_smaller_batches(pairs_folder: Path) -> None:
    sizes = ((288, 384), (384, 512))
    settings = config(pairs_folder, batch=6, steps=40, sizes=sizes, size_share=0.5)
    samples = MixedSamples(settings)
    drawn = [samples.size(step) for step in range(40)]
    assert set(drawn) == {settings.crop, *sizes} and drawn == [samples.size(i) for i in range(40)]
    assert [batch_at(settings, size) for size in (settings.crop, *sizes)] == [6, 3, 2]
    step = drawn.index((384, 512))
    indices = samples.indices(step)
    assert list(indices) == [6 * step, 6 * step + 1]
    sample = samples[indices[1]]
    assert sample.thermal.shape == (1, 384, 512) and sample.labels.shape == (96, 128)


def test_rows_say_where_a_crop_lies(pairs_folder: Path) -> None:
    samples = MixedSamples(config(pairs_folder, steps=20))
    rows = torch.stack([samples[index].rows for index in range(40)])
    assert (rows[:, 0] < rows[:, 1]).all() and rows.min() == 0 and rows.max() == 1
    assert len(rows.unique(dim=0)) > 5


def test_truths_are_in_the_look_and_crops_share_one_grade(pairs_folder: Path) -> None:
    plain = MixedSamples(config(pairs_folder))
    graded = MixedSamples(config(pairs_folder, look="daylight"))
    assert torch.equal(plain[1].thermal, graded[1].thermal)
    assert not torch.equal(plain[1].visible, graded[1].visible)
    data = (DataSpec(pairs_folder, kind="mosaic"),)
    mosaics = MixedSamples(config(pairs_folder, look="daylight", data=data))
    mosaics[0]
    (grade,) = mosaics._grades.values()
    visible = read_visible(pairs_folder / "vi" / "000.png")
    reader = PairReader((400, 400))
    loaded = reader(find_pairs(pairs_folder)[0], grade)
    assert np.array_equal(loaded.visible, grade(visible))


def test_label_maps_go_along(pairs_folder: Path) -> None:
    (pairs_folder / "labels").mkdir()
    for number in range(6):
        half = np.zeros((100, 130), np.uint8)
        half[:50] = 3
        cv2.imwrite(str(pairs_folder / "labels" / f"{number:03d}.png"), half)
    settings = config(pairs_folder, loss=LossConfig(semantics=1.0))
    sample = MixedSamples(settings)[0]
    assert sample.labels.shape == (48, 64) and set(sample.labels.unique().tolist()) == {0, 3}
    assert (sample.labels[0] == 3).all() and (sample.labels[-1] == 0).all()
    assert (MixedSamples(config(pairs_folder))[0].labels == UNSURE).all()


def test_strong_augmentation_stays_in_range_and_inverts_few(pairs_folder: Path) -> None:
    samples = MixedSamples(config(pairs_folder, augment="strong", steps=60))
    signs = []
    for index in range(120):
        thermal, visible, *_ = samples[index]
        assert 0 <= thermal.min() and thermal.max() <= 1
        signs.append(np.corrcoef(thermal.flatten(), visible[1].flatten())[0, 1])
    assert 0 < sum(sign < 0 for sign in signs) <= 20
