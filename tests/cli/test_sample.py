"""``ladle-rt sample`` writes footage that every other command takes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from ladle_rt.cli.sample import command
from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.pipeline.sample import write_sample
from ladle_rt.sources.synthetic import DriveOptions, SyntheticSource
from ladle_rt.sources.video import VideoSource

SMALL = ["--size", "96x64", "--seconds", "0.5", "--fps", "20"]


def test_written_file(tmp_path: Path) -> None:
    path = tmp_path / "t.mp4"
    result = CliRunner().invoke(command, [str(path), *SMALL])
    assert result.exit_code == 0, result.output
    assert str(path) in result.stdout and "10 synthetic thermal frames, 96x64" in result.stdout
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(20)
        frames = list(container.decode(video=0))
    assert len(frames) == 10 and (frames[0].width, frames[0].height) == (96, 64)
    planes = frames[0].to_ndarray(format="yuv420p")
    assert np.abs(planes[64:].astype(int) - 128).max() <= 2


def test_it_reads_back_as_the_thermal_frames_it_was_made_of(tmp_path: Path) -> None:
    options = DriveOptions(96, 64, rate=20, seconds=0.25)
    write_sample(tmp_path / "t.mp4", options)
    with VideoSource(tmp_path / "t.mp4") as source:
        read = [frame.pixels for frame in source]
    made = [frame.pixels for frame in SyntheticSource(options)]
    assert len(read) == len(made) == 5
    for after, before in zip(read, made, strict=True):
        assert np.abs(after - (16 + before * (219 / 255))).mean() < 4, "limited-range luma"


def test_seeds_differ(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        words = [str(tmp_path / f"{seed}.mp4"), *SMALL, "--seed", seed]
        assert CliRunner().invoke(command, words).exit_code == 0
    assert (tmp_path / "1.mp4").read_bytes() != (tmp_path / "2.mp4").read_bytes()


def test_existing_files_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "t.mp4"
    path.write_bytes(b"mine")
    assert isinstance(CliRunner().invoke(command, [str(path), *SMALL]).exception, OutputError)
    assert path.read_bytes() == b"mine"
    assert CliRunner().invoke(command, [str(path), *SMALL, "--overwrite"]).exit_code == 0
    assert path.stat().st_size > 100


@pytest.mark.parametrize(
    "words",
    [["--size", "95x64"], ["--size", "big"], ["--size", "96x"], ["--seconds", "0"], ["--fps", "0"]],
)
def test_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    assert CliRunner().invoke(command, [str(tmp_path / "t.mp4"), *words]).exit_code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["--size", "8x8"], ["--seconds", "inf"], ["--seconds", "nan"]])
def test_drives_that_cannot_be_made(tmp_path: Path, words: list[str]) -> None:
    result = CliRunner().invoke(command, [str(tmp_path / "t.mp4"), *words])
    assert isinstance(result.exception, ConfigError)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_sample_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop() -> None:
        if list(tmp_path.iterdir()):  # the encoder has begun to write
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "t.mp4", DriveOptions(96, 64, seconds=10), on_frame=stop)
    assert not list(tmp_path.iterdir())
