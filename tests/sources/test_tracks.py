"""Video tracks, interlaced video, and raw counts that were recorded as 4:2:2."""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ladle_rt.errors import FalseColourError, InputError
from ladle_rt.frames import Frame
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.scene_reader import ReadOptions


def write(
    path: Path,
    tracks: Sequence[tuple[str, str, list[av.VideoFrame]]],
    options: dict[str, str] | None = None,
) -> Path:
    """Tracks of codec, title and frames, 25 a second."""
    with av.open(str(path), "w") as file:
        streams = []
        for codec, title, frames in tracks:
            stream = file.add_stream(codec, rate=25, options=options or {})
            stream.width, stream.height = frames[0].width, frames[0].height
            stream.pix_fmt = frames[0].format.name
            stream.metadata["title"] = title
            streams.append(stream)
        for stream, (_, _, frames) in zip(streams, tracks, strict=True):
            for number, frame in enumerate(frames):
                frame.pts, frame.time_base = number, Fraction(1, 25)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    return path


def read(path: Path, **options: object) -> list[Frame]:
    with VideoSource(path, read=ReadOptions(**options)) as source:  # type: ignore[arg-type]
        return list(source)


def frames_of(colour: tuple[int, int, int]) -> list[av.VideoFrame]:
    picture = np.zeros((64, 80, 3), np.uint8)
    picture[:] = colour
    picture[:, 40:] //= 2
    return [
        av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p") for _ in range(3)
    ]


@pytest.mark.parametrize("title", ["", "Thermal camera"])
def test_the_thermal_track_is_found(tmp_path: Path, title: str) -> None:
    visible, thermal = (
        ("ffv1", "", frames_of((200, 60, 30))),
        ("ffv1", title, frames_of((180,) * 3)),
    )
    path = write(tmp_path / "two.mkv", [visible, thermal])
    for track in (1, "thermal"):
        assert len(read(path, track=track)) == 3
    for track in (None, 0):
        with pytest.raises(FalseColourError):
            read(path, track=track)
    with pytest.raises(InputError, match="video track from 0 to 1, received 2"):
        read(path, track=2)


def test_two_grey_tracks_are_not_guessed_between(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grey = frames_of((180, 180, 180))
    path = write(tmp_path / "two.mkv", [("ffv1", "", grey), ("ffv1", "", frames_of((90,) * 3))])
    with pytest.raises(InputError, match=r"2 of 2 tracks are grey\); give --track N"):
        read(path, track="thermal")
    with caplog.at_level(logging.INFO, "ladle_rt.input"):
        read(path)
    assert "track 0 of 2 video tracks; --track N or --track thermal chooses" in caplog.text


def test_interlaced_video_is_deinterlaced_frame_by_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = []
    for number in range(8):
        picture = np.full((64, 80), 60, np.uint8)
        # A bar that moves between the two fields: combs, where they are shown together.
        picture[0::2, 8 * number : 8 * number + 8] = 220
        picture[1::2, 8 * number + 4 : 8 * number + 12] = 220
        frames.append(av.VideoFrame.from_ndarray(picture, "gray").reformat(format="yuv420p"))
    flags = {"flags": "+ildct+ilme", "qscale": "2"}
    path = write(tmp_path / "in.ts", [("mpeg2video", "", frames)], flags)
    with av.open(str(path)) as file:
        plain = [frame.to_ndarray(format="gray") for frame in file.decode(video=0)]
    with caplog.at_level(logging.INFO, "ladle_rt.input"):
        whole = read(path)
    assert "in.ts: interlaced; it is deinterlaced" in caplog.text
    assert len(whole) == len(plain) == 8
    steps = {round(float(b.time_s - a.time_s), 4) for a, b in itertools.pairwise(whole)}
    assert steps == {0.04}

    def combing(pixels: np.ndarray) -> float:
        lines = pixels.astype(int)
        return float(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]).mean())

    assert combing(whole[4].pixels) < 0.5 * combing(plain[4])


def packed(words: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(
        np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, 2), "yuyv422"
    )


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("layout", ["stacked", "whole", "parameter rows"])
def test_raw_counts_recorded_as_yuyv(tmp_path: Path, planar: bool, layout: str) -> None:
    height, width = (192, 256) if layout != "parameter rows" else (288, 384)
    down, across = np.mgrid[:height, :width]
    counts = (19_000 + 400 * np.sin(down / 30) + 300 * np.cos(across / 25)).astype(np.uint16)
    words = counts
    if layout == "stacked":
        words = np.vstack([(counts - 18_000) // 16 | 0x8000, counts]).astype(np.uint16)
    elif layout == "parameter rows":
        junk = np.random.default_rng(0).integers(0, 65_536, (4, width)).astype(np.uint16)
        words = np.vstack([counts, junk])
    frame = packed(words)
    if planar:
        frame = frame.reformat(format="yuv422p")
    path = write(tmp_path / "a.mkv", [("ffv1" if planar else "rawvideo", "", [frame] * 2)])
    found = read(path)
    assert len(found) == 2 and np.array_equal(found[0].pixels, counts)


def test_crop_and_palette_of_a_video(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", [("ffv1", "", frames_of((180, 180, 180)))])
    assert read(path, crop=(10, 4, 32, 20))[0].pixels.shape == (20, 32)
    with pytest.raises(InputError, match="crop within 80x64"):
        read(path, crop=(0, 0, 99, 9))
    iron = write(tmp_path / "iron.mkv", [("ffv1", "", frames_of((240, 110, 20)))])
    levels = read(iron, from_palette="ironbow")[0].pixels
    assert abs(int(levels[30, 10]) - 170) < 6


def test_a_pipe_is_not_opened_twice_to_look_for_the_thermal_track(tmp_path: Path) -> None:
    grey = ("ffv1", "", frames_of((180,) * 3))
    data = write(tmp_path / "two.mkv", [("ffv1", "", frames_of((200, 60, 30))), grey]).read_bytes()
    fifo = tmp_path / "thermal"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    with pytest.raises(InputError, match="cannot tell the thermal track"):
        read(fifo, track="thermal")
    writer.join(5)
    assert not writer.is_alive()
