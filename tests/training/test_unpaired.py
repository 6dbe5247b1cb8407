"""Footage without a truth: what of it is read, and what a run does with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from ladle_rt.errors import ConfigError, DatasetError
from ladle_rt.training.data_spec import UnpairedSpec
from ladle_rt.training.distributed import Processes
from ladle_rt.training.phases import Phase
from ladle_rt.training.samples import MixedSamples
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig
from ladle_rt.training.training_run import Run
from ladle_rt.training.unpaired import UnpairedFrames

ALONE = Processes(0, 1, torch.device("cpu"))
LARGEST = (40, 60)
LOSS = LossConfig(
    published=0, histogram=1.0, adversarial=0.1, unpaired=1.0, discriminator="projected"
)


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Five images of levels 10 to 50, and a video of eight frames of level 100 and more."""
    folder = tmp_path / "footage"
    folder.mkdir()
    for number in range(1, 6):
        cv2.imwrite(str(folder / f"still{number}.png"), noisy(10 * number))
    with av.open(str(folder / "clip.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "gray"
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(noisy(100 + 10 * number), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (folder / "notes.txt").write_text("no footage")
    return folder


def noisy(level: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rng = np.random.default_rng(level)
    return (level + rng.integers(-4, 5, (64, 96))).astype(np.uint8)


def levels(frames: UnpairedFrames) -> set[int]:
    """Of everything that is drawn, to ten."""
    rng = np.random.default_rng(0)
    return {round(float(np.median(frames.draw(rng))) / 10) * 10 for _ in range(300)}


def test_images_and_frames_of_videos_are_read(footage: Path) -> None:
    frames = UnpairedFrames((UnpairedSpec(footage),), LARGEST)
    assert levels(frames) == {10, 20, 30, 40, 50, *range(100, 180, 10)}
    assert frames.draw(np.random.default_rng(0)).shape == LARGEST


def test_files_are_left_out_and_frames_spaced(footage: Path) -> None:
    spec = UnpairedSpec(footage, frames=2, exclude=("still1",))
    assert levels(UnpairedFrames((spec,), LARGEST)) == {20, 50, 100, 170}


def test_footage_is_drawn_by_weight(footage: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    cv2.imwrite(str(other / "a.png"), noisy(220))
    frames = UnpairedFrames((UnpairedSpec(footage), UnpairedSpec(other, weight=3.0)), LARGEST)
    rng = np.random.default_rng(0)
    bright = sum(float(np.median(frames.draw(rng))) > 200 for _ in range(400))
    assert 270 < bright < 330


def test_footage_that_is_none_is_refused(tmp_path: Path, footage: Path) -> None:
    with pytest.raises(DatasetError, match="expected a folder of thermal images"):
        UnpairedFrames((UnpairedSpec(tmp_path / "none"),), LARGEST)
    every = UnpairedSpec(footage, exclude=tuple(file.stem for file in footage.iterdir()))
    with pytest.raises(DatasetError, match="found none"):
        UnpairedFrames((every,), LARGEST)


def test_other_files_are_left_out_in_words(footage: Path, caplog: pytest.LogCaptureFixture) -> None:
    UnpairedFrames((UnpairedSpec(footage),), LARGEST)
    assert [record for record in caplog.records if "notes.txt" in record.message]


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="unpaired needs adversarial > 0 and a projected"):
        LossConfig(unpaired=1.0)
    with pytest.raises(ConfigError, match="unpaired must be >= 0"):
        LossConfig(unpaired=-1.0)
    with pytest.raises(ConfigError, match=r"go together, received 0 and 1\.0"):
        TrainConfig(data=(DataSpec(Path("x")),), loss=LOSS)
    with pytest.raises(ConfigError, match="frames >= 1"):
        UnpairedSpec(Path("x"), frames=0)


@pytest.fixture
def config(pairs_folder: Path, footage: Path) -> TrainConfig:
    return TrainConfig(
        data=(DataSpec(pairs_folder),),
        unpaired=(UnpairedSpec(footage),),
        preset="nano",
        crop=(64, 64),
        phases=(Phase("discriminator", 2), Phase("adversarial", 2)),
        steps=4,
        batch=2,
        warmup=0,
        learning_rate=1e-3,
        ema=0.0,
        workers=0,
        loss=LOSS,
    )


def test_samples_carry_footage_that_depends_on_seed_and_index(config: TrainConfig) -> None:
    samples, again = MixedSamples(config), MixedSamples(config)
    assert samples[1].unpaired.shape == (1, 64, 64) and samples[1].unpaired.dtype == torch.float32
    assert torch.equal(samples[1].unpaired, again[1].unpaired)
    assert not torch.equal(samples[0].unpaired, samples[1].unpaired)
    low, high = samples[1].unpaired_rows.tolist()
    assert 0 <= low < high <= 1
    plain = replace(config, unpaired=(), loss=LossConfig(published=0, l2=1.0), phases=())
    without = MixedSamples(plain)
    assert without[1].unpaired.shape == (0, 64, 64)
    # The pairs are those of the run without footage.
    assert torch.equal(without[1].thermal, samples[1].thermal)


def test_every_other_step_learns_from_footage(config: TrainConfig) -> None:
    samples = MixedSamples(config)
    run = Run(config, samples, ALONE)
    run.start()
    seen = []
    for step in range(4):
        batch = [samples[index] for index in samples.indices(step)]
        values = run.advance(type(batch[0])(*map(torch.stack, zip(*batch, strict=True))))
        assert np.isfinite(list(values.values())).all()
        seen.append({"unpaired", "unpaired_histogram"} & values.keys())
    assert seen == [set(), set(), set(), {"unpaired", "unpaired_histogram"}]
