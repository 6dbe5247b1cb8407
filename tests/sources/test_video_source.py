from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ladle_rt.errors import (
    ConfigError,
    FalseColourError,
    InputError,
    InputNotFoundError,
    PartialResultError,
)
from ladle_rt.frames import Frame
from ladle_rt.sources.base import Source
from ladle_rt.sources.video_source import VideoSource

WriteClip = Callable[..., Path]
FAST = {"preset": "ultrafast", "tune": "zerolatency"}


def read(path: Path, **settings: object) -> list[Frame]:
    with VideoSource(path, **settings) as source:  # type: ignore[arg-type]
        return list(source)


def test_every_frame_once_with_its_time(write_clip: WriteClip) -> None:
    path = write_clip("a.mp4", frames=23)
    with VideoSource(path) as source:
        assert isinstance(source, Source)
        assert (source.info.width, source.info.height) == (64, 48)
        assert source.info.frames == 23
        assert source.info.rate == 25
        frames = list(source)
    assert [frame.sequence for frame in frames] == list(range(23))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(23)])
    assert all(frame.pixels.dtype == np.uint8 for frame in frames)
    assert len({frame.pixels.tobytes() for frame in frames}) > 10


def test_variable_frame_rate_is_kept(write_clip: WriteClip) -> None:
    pts = [0, 512, 700, 5000, 5001, 9000, 20_000]
    path = write_clip("vfr.mp4", frames=7, pts=pts)
    with VideoSource(path) as source:
        ticks = [frame.pts * source.info.time_base for frame in source]  # type: ignore[operator]
    assert ticks == [Fraction(one, 12800) for one in pts]


def test_sixteen_bit_counts_survive(write_clip: WriteClip) -> None:
    def counts(index: int, width: int, height: int) -> np.ndarray:
        return np.arange(width * height, dtype=np.uint16).reshape(height, width) * 20 + index

    path = write_clip(
        "raw.mkv",
        3,
        codec="ffv1",
        pix_fmt="gray16le",
        array_format="gray16le",
        pixels=counts,
    )
    for index, frame in enumerate(read(path)):
        assert frame.pixels.dtype == np.uint16
        np.testing.assert_array_equal(frame.pixels, counts(index, 64, 48))


def test_odd_sizes_and_single_pixels(write_clip: WriteClip) -> None:
    for size in ((33, 17), (1, 1)):
        path = write_clip(f"{size[0]}.mkv", 2, size, codec="ffv1", pix_fmt="gray")
        assert [frame.pixels.shape for frame in read(path)] == [size[::-1]] * 2


def test_frames_of_48_megapixels(write_clip: WriteClip) -> None:
    path = write_clip(
        "big.mkv", 1, (8000, 6000), codec="mjpeg", pix_fmt="yuvj420p", pixels=_flat(90)
    )
    assert read(path)[0].pixels.shape == (6000, 8000)


def _flat(value: int) -> Callable[[int, int, int], np.ndarray]:
    return lambda index, width, height: np.full((height, width), value, np.uint8)


def _quadrant(index: int, width: int, height: int) -> np.ndarray:
    picture = np.full((height, width), 20, np.uint8)
    picture[: height // 2, : width // 2] = 200
    return picture


def _patch_rotation(path: Path, degrees: int) -> None:
    """Write a rotation into the display matrix of an MP4's track header."""
    matrix = {  # clockwise quarter turns as phones write them: a, b, u, c, d, v, x, y, w
        90: (0, 1, 0, -1, 0, 0, 0, 0, 0x4000),
        180: (-1, 0, 0, 0, -1, 0, 0, 0, 0x4000),
        270: (0, -1, 0, 1, 0, 0, 0, 0, 0x4000),
    }[degrees]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, at, *(value << 16 for value in matrix))
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("degrees", "corner"),
    [(90, "top right"), (180, "bottom right"), (270, "bottom left")],
)
def test_rotation_is_applied(write_clip: WriteClip, degrees: int, corner: str) -> None:
    path = write_clip(
        "turned.mp4", 3, (64, 48), pixels=_quadrant, aspect=Fraction(4, 3), options=FAST
    )
    _patch_rotation(path, degrees)
    with VideoSource(path) as source:
        info = source.info
        pixels = next(iter(source)).pixels
    upright = degrees == 180
    assert pixels.shape == ((48, 64) if upright else (64, 48))
    assert (info.height, info.width) == pixels.shape
    assert info.sample_aspect_ratio == (Fraction(4, 3) if upright else Fraction(3, 4))
    assert pixels.flags.c_contiguous
    rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
    bright = pixels[:rows] if "top" in corner else pixels[rows:]
    bright = bright[:, columns:] if "right" in corner else bright[:, :columns]
    assert bright.mean() > 180
    assert pixels.mean() < 80


def test_pixel_aspect_is_reported(write_clip: WriteClip) -> None:
    path = write_clip("sar.mp4", 2, aspect=Fraction(16, 11))
    with VideoSource(path) as source:
        assert source.info.sample_aspect_ratio == Fraction(16, 11)


def _rainbow(index: int, width: int, height: int) -> np.ndarray:
    value = np.tile(np.linspace(0, 255, width, dtype=np.uint8), (height, 1))
    return np.stack([value, 255 - value, np.full_like(value, 60)], 2)


def test_a_palette_is_refused_or_reduced(
    write_clip: WriteClip, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_clip("iron.mp4", 4, pixels=_rainbow, array_format="rgb24")
    with pytest.raises(FalseColourError, match="--allow-colour"):
        VideoSource(path)
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        assert len(read(path, allow_colour=True)) == 4
    assert len(caplog.records) == 1


def test_black_first_frames_do_not_hide_a_palette(write_clip: WriteClip) -> None:
    def late(index: int, width: int, height: int) -> np.ndarray:
        return _rainbow(index, width, height) * (index >= 8)

    path = write_clip("late.mp4", 12, pixels=late, array_format="rgb24")
    with VideoSource(path) as source, pytest.raises(FalseColourError):
        list(source)


def test_colour_in_mid_stream_only_warns(
    write_clip: WriteClip, caplog: pytest.LogCaptureFixture
) -> None:
    def later(index: int, width: int, height: int) -> np.ndarray:
        colour = _rainbow(index, width, height)
        return colour if index >= 40 else np.repeat(colour[..., :1], 3, axis=2)

    path = write_clip("mixed.mp4", 120, pixels=later, array_format="rgb24", options=FAST)
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        assert len(read(path)) == 120
    assert len(caplog.records) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@pytest.mark.parametrize("start_s", [0.52, 1.6])
def test_start_and_duration(write_clip: WriteClip, suffix: str, start_s: float) -> None:
    options = {"g": "10", "bf": "0" if suffix == ".avi" else "2"}
    base = Fraction(1, 25) if suffix == ".avi" else Fraction(1, 12800)
    path = write_clip(f"long{suffix}", 60, time_base=base, options=options)
    whole = {round(frame.time_s, 3): frame.pixels for frame in read(path)}
    with VideoSource(path, start_s=start_s, duration_s=0.4) as source:
        info, frames = source.info, list(source)
    assert len(frames) == 10
    assert [frame.sequence for frame in frames] == list(range(10))
    assert 0 <= frames[0].time_s < 1 / 25
    assert info.duration_s == pytest.approx(0.4, abs=0.05)
    for frame in frames:
        time_s = frame.time_s + start_s
        near = min(whole, key=lambda time: abs(time - time_s))
        assert abs(near - time_s) < 0.002
        np.testing.assert_array_equal(whole[near], frame.pixels)


def test_impossible_parts_are_refused(write_clip: WriteClip) -> None:
    path = write_clip("a.mp4")
    with pytest.raises(InputError, match="received 9 s"):
        VideoSource(path, start_s=9)
    with pytest.raises(ConfigError, match="duration"):
        VideoSource(path, duration_s=0)
    with pytest.raises(ConfigError, match="start"):
        VideoSource(path, start_s=-1)


def test_inputs_that_are_no_video(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no such file"):
        VideoSource(tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="folder"):
        VideoSource(tmp_path)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(InputError, match="empty"):
        VideoSource(tmp_path / "empty.mp4")
    (tmp_path / "text.mp4").write_text("not a video\n" * 500)
    with pytest.raises(InputError, match="not a video"):
        VideoSource(tmp_path / "text.mp4")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 48_000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="only audio"):
        VideoSource(path)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "cover.mp3"
    cover = tmp_path / "cover.jpg"
    with av.open(str(cover), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(16, 16, "yuvj420p")))
        container.mux(stream.encode(None))
    # An ID3v2.3 tag with one APIC frame, then silence: what a music library looks like.
    apic = b"\0image/jpeg\0\x03\0" + cover.read_bytes()
    body = b"APIC" + struct.pack(">IH", len(apic), 0) + apic
    size = len(body)
    sync = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + sync + body + (b"\xff\xfb\x90\x64" + bytes(413)) * 20)
    with pytest.raises(InputError, match="cover picture"):
        VideoSource(path)


def test_truncated_with_its_index_at_the_end_is_refused(write_clip: WriteClip) -> None:
    path = write_clip("cut.mp4", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="not a whole one"):
        VideoSource(path)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_truncated_with_its_index_in_front_gives_what_there_is(
    write_clip: WriteClip, name: str
) -> None:
    muxer = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = write_clip(name, 60, muxer=muxer, options={"g": "5"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    frames: list[Frame] = []
    with (
        VideoSource(path) as source,
        pytest.raises(PartialResultError, match="cut short"),
    ):
        frames.extend(source)
    assert 10 < len(frames) < 60


def test_a_broken_packet_is_skipped(write_clip: WriteClip) -> None:
    path = write_clip("hole.avi", 30, codec="mjpeg", pix_fmt="yuvj420p", time_base=Fraction(1, 25))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = next(one for one in container.demux() if one.pts == 12)
        start, size = packet.pos, packet.size
    # The chunk header stays; the picture inside becomes nonsense.
    data[start + 8 : start + size] = bytes(size - 8)
    path.write_bytes(data)
    frames: list[Frame] = []
    with VideoSource(path) as source, pytest.raises(PartialResultError):
        frames.extend(source)
    assert len(frames) == 29
    assert frames[-1].time_s == pytest.approx(29 / 25)


def test_size_change_in_mid_stream(write_clip: WriteClip, tmp_path: Path) -> None:
    first = write_clip("one.ts", 5, (64, 48), options=FAST)
    second = write_clip("two.ts", 5, (96, 64), options=FAST)
    path = tmp_path / "joined.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    frames = read(path)
    assert [frame.pixels.shape for frame in frames] == [(48, 64)] * 5 + [(64, 96)] * 5
    times = [frame.time_s for frame in frames]
    assert times == sorted(set(times))


def test_raw_h264_without_times(write_clip: WriteClip) -> None:
    path = write_clip("raw.h264", 12, options=FAST)
    times = [frame.time_s for frame in read(path)]
    assert times == pytest.approx([n / 25 for n in range(12)], abs=1e-3)


def test_close_is_idempotent(write_clip: WriteClip) -> None:
    source = VideoSource(write_clip("a.mp4"))
    source.close()
    source.close()


def test_real_recordings(shared_data: Path) -> None:
    with VideoSource(shared_data / "video16" / "skyline_160x120_gray16.mkv") as source:
        frames = list(source)
    assert len(frames) == 91
    assert frames[0].pixels.dtype == np.uint16
    assert 1000 < np.median(frames[0].pixels) < 5000
