"""Damage that the decoder paints over is told; what is whole is not called damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from ladle_rt.errors import PartialResultError
from ladle_rt.frames import Frame
from ladle_rt.sources.video_source import VideoSource

WriteClip = Callable[..., Path]


def noisy(index: int, width: int, height: int) -> np.ndarray:
    """Pictures whose packets are large enough to be hit."""
    return np.random.default_rng(index).integers(60, 180, (height, width), np.uint8)


def read(source: VideoSource, frames: list[Frame]) -> None:
    frames.extend(source)


def hit(path: Path, packet_number: int) -> None:
    """Write over the head of a slice, behind the length of its unit: the packet stays one."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        place = packets[packet_number].pos + 8
    data = bytearray(path.read_bytes())
    data[place : place + 3] = b"\x00\x01\x02"
    path.write_bytes(data)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_painted_over_damage_is_told_after_every_frame(write_clip: WriteClip, codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = write_clip("a.mp4", 20, (160, 128), codec=codec, pixels=noisy)
    hit(path, 9)
    frames: list[Frame] = []
    with VideoSource(path) as source, pytest.raises(PartialResultError, match="damaged"):
        read(source, frames)
    assert len(frames) >= 19


def test_the_case_of_the_issue(shared_data: Path) -> None:
    frames: list[Frame] = []
    path = shared_data.parent / "cases" / "slice_damaged.mp4"
    if not path.exists():
        pytest.skip("the cases are not beside the development data")
    with VideoSource(path) as source, pytest.raises(PartialResultError, match="the 20 frames"):
        read(source, frames)
    assert len(frames) == 20


@pytest.mark.parametrize("start_s", [0.0, 1.3])
def test_whole_files_are_not_called_damaged(write_clip: WriteClip, start_s: float) -> None:
    """Open groups of pictures: some come before their key frame and refer to the one before."""
    options = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0"}
    path = write_clip("a.mp4", 60, (160, 128), pixels=noisy, options=options)
    with VideoSource(path, start_s) as source:
        assert len(list(source)) == 60 - round(start_s * 25 + 0.49)


def test_a_recording_that_begins_anywhere_is_not_damaged(
    write_clip: WriteClip, tmp_path: Path
) -> None:
    whole = write_clip("a.ts", 60, (160, 128), options={"g": "12"})
    data = whole.read_bytes()
    cut = tmp_path / "b.ts"
    cut.write_bytes(data[len(data) // 3 // 188 * 188 :])
    with VideoSource(cut) as source:
        assert len(list(source)) > 20
