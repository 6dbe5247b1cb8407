from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ladle_rt.config import VideoEncoding
from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.base import Sink, SinkContext
from ladle_rt.sinks.encoding import plan_encoder
from ladle_rt.sinks.video_sink import VideoSink


def translated(index: int, colour: tuple[int, int, int], size: int = 64) -> TranslatedFrame:
    y, u, v = colour
    data = np.empty((size * 3 // 2, size), np.uint8)
    data[:size] = y
    data[size : size + size // 4] = u
    data[size + size // 4 :] = v
    frame = Frame(data[:size], index, index, index, Fraction(1, 25))
    return TranslatedFrame(frame, Picture("yuv420p", data, size, size))


def sink_for(path: Path, encoding: VideoEncoding | None = None, **settings: object) -> VideoSink:
    context = SinkContext(
        64,
        64,
        Fraction(25),
        Fraction(1, 25),
        encoding=encoding or VideoEncoding(),
        **settings,  # type: ignore[arg-type]
    )
    return VideoSink(path, context)


RED, GREEN, BLUE = (63, 102, 240), (173, 42, 26), (32, 240, 118)


@pytest.mark.parametrize("colour", [RED, GREEN, BLUE])
def test_colours_are_written_as_they_are_and_tagged(
    tmp_path: Path, colour: tuple[int, int, int]
) -> None:
    sink = sink_for(tmp_path / "out.mp4")
    assert isinstance(sink, Sink)
    for index in range(3):
        sink.write(translated(index, colour))
    sink.close()
    sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        context = container.streams.video[0].codec_context
        tags = (
            context.colorspace,
            context.color_primaries,
            context.color_trc,
            context.color_range,
        )
    assert tags == (1, 1, 1, 1)  # BT.709 three times, limited range
    assert frame.format.name == "yuv420p"
    planes = frame.to_ndarray().astype(int)
    written = planes[32, 32], planes[64 + 8, 8], planes[80 + 8, 8]
    assert np.abs(np.subtract(written, colour)).max() <= 2


@pytest.mark.parametrize(
    ("codec", "suffix", "expected"),
    [
        ("h265", ".mp4", "hevc"),
        ("mpeg4", ".mkv", "mpeg4"),
        ("ffv1", ".mkv", "ffv1"),
        ("av1", ".webm", "av1"),
        (None, ".webm", "vp9"),
        ("mjpeg", ".avi", "mjpeg"),
    ],
)
def test_other_codecs(tmp_path: Path, codec: str | None, suffix: str, expected: str) -> None:
    encoder = {"h265": "libx265", "av1": "libsvtav1", None: "libvpx-vp9"}.get(codec, codec)
    if encoder not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {encoder}")
    path = tmp_path / f"out{suffix}"
    sink = sink_for(path, VideoEncoding(codec))
    for index in range(4):
        sink.write(translated(index, RED))
    sink.close()
    with av.open(str(path)) as container:
        # Decoders go by names such as libdav1d.
        assert expected.rstrip("0123456789") in container.streams.video[0].codec_context.name
        assert len(list(container.decode(video=0))) == 4


def test_a_missing_encoder_is_replaced_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "ladle_rt.sinks.encoding.FORMATS", {".mp4": ("mp4", ("libnothing", "mpeg4"))}
    )
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        assert plan_encoder(tmp_path / "out.mp4", VideoEncoding()).codec == "mpeg4"
    assert len(caplog.records) == 1


def test_aborting_leaves_nothing(tmp_path: Path) -> None:
    sink = sink_for(tmp_path / "out.mkv", VideoEncoding("ffv1"))
    sink.write(translated(0, RED))
    assert len(list(tmp_path.iterdir())) == 1
    sink.abort()
    sink.abort()
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_crf_outside_every_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match="0-63"):
        VideoEncoding(crf=64)


def test_crf_and_preset_change_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(16, 235, (96, 64), dtype=np.uint8)
    sizes = []
    for crf in (5, 45):
        path = tmp_path / f"{crf}.mp4"
        sink = sink_for(path, VideoEncoding("h264", crf, "ultrafast"))
        frame = Frame(noise[:64], 0, 0, 0, Fraction(1, 25))
        sink.write(TranslatedFrame(frame, Picture("yuv420p", noise, 64, 64)))
        sink.close()
        sizes.append(path.stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


def test_large_pictures(tmp_path: Path) -> None:
    data = np.full((9000, 8000), 100, np.uint8)
    frame = Frame(data[:6000], 0, 0, 0, Fraction(1, 25))
    sink = sink_for(tmp_path / "big.mp4", VideoEncoding(preset="ultrafast"))
    sink.write(TranslatedFrame(frame, Picture("yuv420p", data, 8000, 6000)))
    sink.close()
    with av.open(str(tmp_path / "big.mp4")) as container:
        assert container.streams.video[0].width == 8000


def test_two_runs_do_not_share_a_new_file(tmp_path: Path) -> None:
    """Both found the name free when they began; both results are kept, and one is told."""
    first, second = sink_for(tmp_path / "out.mp4"), sink_for(tmp_path / "out.mp4")
    for sink, colour in ((first, RED), (second, GREEN)):
        sink.write(translated(0, colour))
    first.close()
    kept = (tmp_path / "out.mp4").read_bytes()
    with pytest.raises(OutputError, match=r"made this file meanwhile; the result is in out-2\.mp4"):
        second.close()
    assert (tmp_path / "out.mp4").read_bytes() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-2.mp4", "out.mp4"]
