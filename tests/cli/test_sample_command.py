"""``ladle-rt sample`` writes footage that every other command takes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from ladle_rt.cli.sample_command import command
from ladle_rt.datasets.layouts import recognise
from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.frames import TranslatedFrame
from ladle_rt.pipeline import sample
from ladle_rt.pipeline.sample import write_sample, write_sample_pairs
from ladle_rt.sinks.video_sink import VideoSink
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.sources.video_source import VideoSource

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


def test_an_interrupted_sample_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = VideoSink.write

    def stop(sink: VideoSink, translated: TranslatedFrame) -> None:
        write(sink, translated)
        if list(tmp_path.iterdir()):  # the encoder has begun to write
            raise KeyboardInterrupt

    monkeypatch.setattr(VideoSink, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "t.mp4", DriveOptions(96, 64, seconds=10))
    assert not list(tmp_path.iterdir())


def test_an_image_is_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    words = [str(path), "--size", "96x64", "--seed", "3"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0 and "one synthetic thermal image, 96x64" in result.stdout
    first = next(iter(SyntheticSource(DriveOptions(96, 64, seed=3))))
    assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), first.pixels)
    assert isinstance(CliRunner().invoke(command, words).exception, OutputError)
    assert CliRunner().invoke(command, [*words, "--overwrite"]).exit_code == 0


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("exists", [False, True])
def test_pairs_are_a_dataset(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "pairs"
    if exists:
        folder.mkdir()
    target = str(folder) if exists else f"{folder}/"
    words = [target, "--size", "96x64", "--pairs", "2"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0 and "2 synthetic pairs, 96x64" in result.stdout, result.output
    assert files(tmp_path) == [
        f"pairs/{kind}/{number:04}.png" for kind in ("ir", "vi") for number in range(2)
    ]
    assert recognise(folder) == "folders"
    for name in ("0000.png", "0001.png"):
        thermal = cv2.imread(str(folder / "ir" / name), cv2.IMREAD_UNCHANGED)
        visible = cv2.imread(str(folder / "vi" / name), cv2.IMREAD_UNCHANGED)
        assert thermal.shape == (64, 96) and visible.shape == (64, 96, 3)
        blue, _, red = visible[:10].mean(axis=(0, 1))
        assert blue > red + 30, "the sky is blue in the file"


def test_pairs_that_exist_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "ir").mkdir()
    (tmp_path / "ir" / "0000.png").write_bytes(b"mine")
    (tmp_path / "ir" / "other.png").write_bytes(b"mine too")
    words = [str(tmp_path), "--size", "96x64", "--pairs", "1"]
    assert isinstance(CliRunner().invoke(command, words).exception, OutputError)
    assert files(tmp_path) == ["ir/0000.png", "ir/other.png"]
    assert (tmp_path / "ir" / "0000.png").read_bytes() == b"mine"
    assert CliRunner().invoke(command, [*words, "--overwrite"]).exit_code == 0
    assert files(tmp_path) == ["ir/0000.png", "ir/other.png", "vi/0000.png"]
    assert len((tmp_path / "ir" / "0000.png").read_bytes()) > 100
    assert (tmp_path / "ir" / "other.png").read_bytes() == b"mine too"


@pytest.mark.parametrize("exists", [False, True])
def test_interrupted_pairs_leave_nothing_behind(
    tmp_path: Path, exists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pairs"
    if exists:
        folder.mkdir()

    def stop(picture: object) -> bytes:
        raise KeyboardInterrupt

    # Of the visible picture: the first thermal one has been written.
    monkeypatch.setattr(sample, "encode_png", stop)
    with pytest.raises(KeyboardInterrupt):
        write_sample_pairs(folder, (96, 64), 1, 3)
    assert list(tmp_path.rglob("*")) == ([folder] if exists else [])


@pytest.mark.parametrize("target", ["file.txt/", "missing/pairs/", "taken/"])
def test_places_for_no_pairs(tmp_path: Path, target: str) -> None:
    (tmp_path / "file.txt").write_bytes(b"mine")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "vi").write_bytes(b"mine")
    result = CliRunner().invoke(command, [f"{tmp_path}/{target}", "--overwrite"])
    assert isinstance(result.exception, OutputError)
    assert files(tmp_path) == ["file.txt", "taken/vi"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("frame.png", ["--seconds", "5"]),
        ("frame.png", ["--pairs", "8"]),
        ("pairs/", ["--fps", "30"]),
        ("pairs/", ["--pairs", "0"]),
        ("t.mp4", ["--pairs", "8"]),
        ("pairs", []),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(tmp_path: Path, target: str, words: list[str]) -> None:
    result = CliRunner().invoke(command, [f"{tmp_path}/{target}", *words])
    assert result.exit_code == 2 and (words or ["pairs/"])[0] in result.output
    assert not list(tmp_path.iterdir())
