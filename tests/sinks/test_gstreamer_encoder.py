"""GStreamer's encoders: a software one in a real process stands for a Jetson's."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest

from ladle_rt.config import VideoEncoding
from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.frames import Frame, MediaPart, Picture, TranslatedFrame
from ladle_rt.sinks import encoding, gstreamer_elements, gstreamer_encoder
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.encoding import plan_encoder, plan_live_encoder
from ladle_rt.sinks.gstreamer_elements import ELEMENTS, why_not
from ladle_rt.sinks.gstreamer_encoder import pipeline
from ladle_rt.sinks.video_sink import VideoSink

TICK = Fraction(1, 90_000)
WIDTH, HEIGHT = 322, 258
"""No multiples of four: lines of planes lie closer than GStreamer lays them by itself."""
X264 = "x264enc"
real = pytest.mark.skipif(bool(why_not(X264)), reason=f"GStreamer's x264enc: {why_not(X264)}")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts scripts in place of GStreamer's programs."""

    def put(**scripts: str) -> None:
        folder = tmp_path / "tools"
        folder.mkdir()
        for name, body in scripts.items():
            script = folder / f"gst-{name}-1.0"
            script.write_text(f"#!/bin/sh\n{body}\n")
            script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin")
        monkeypatch.setattr(
            gstreamer_elements.shutil,
            "which",
            lambda name: str(folder / name) if (folder / name).exists() else None,
        )

    why_not.cache_clear()
    yield put
    why_not.cache_clear()


def translated(number: int, pts: int) -> TranslatedFrame:
    data = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    data[:HEIGHT] = np.linspace(16, 200, WIDTH, dtype=np.uint8) + number
    chroma = data[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    chroma[0], chroma[1] = 90, 160
    frame = Frame(np.zeros((HEIGHT, WIDTH), np.uint8), number, 0, pts, TICK)
    return TranslatedFrame(frame, Picture("yuv420p", data, WIDTH, HEIGHT))


def clip_with_sound(path: Path) -> bytes:
    """Two seconds of sound beside one picture; the sound's packets."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 64
        sound: Any = container.add_stream("aac", rate=48_000)
        sound.layout = "mono"
        container.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(video.encode(None))
        for start in range(0, 2 * 48_000, 1024):
            wave = np.sin(np.arange(start, start + 1024) / 20).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return sound_of(path)


def sound_of(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0) if packet.size)


def sink(path: Path, publish: Literal["whole", "growing"] = "whole", **context: Any) -> VideoSink:
    settings = {"encoding": VideoEncoding(X264), **context}
    return VideoSink(path, SinkContext(WIDTH, HEIGHT, Fraction(30), TICK, **settings), publish)


def write_all(made: VideoSink, count: int) -> None:
    for number in range(count):
        made.write(translated(number, 3000 * number))
    made.close()


@real
@pytest.mark.parametrize(
    ("name", "publish"),
    [
        ("out.mp4", "whole"),
        ("out.mkv", "whole"),
        ("out.ts", "whole"),
        ("out.mp4", "growing"),
        ("out.mkv", "growing"),
    ],
)
def test_times_colours_and_sound_are_as_with_any_encoder(
    tmp_path: Path, name: str, publish: Literal["whole", "growing"]
) -> None:
    sound = clip_with_sound(tmp_path / "in.mp4")
    made = sink(
        tmp_path / name,
        publish,
        media=MediaPart(tmp_path / "in.mp4"),
        sample_aspect_ratio=Fraction(4, 3),
    )
    # Of no constant rate, with a gap.
    times = [
        number * 3000 + number % 3 * 100 + (90_000 if number > 10 else 0) for number in range(20)
    ]
    for number, pts in enumerate(times):
        made.write(translated(number, pts))
    made.close()
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        frames = list(container.decode(stream))
        assert context.name == "h264" and stream.sample_aspect_ratio == Fraction(4, 3)
    assert tags == (1, 1, 1, 1)
    # A transport stream begins later.
    start_s = frames[0].time if name == "out.ts" else 0.0
    seen = [float(frame.time - start_s) for frame in frames]
    # Matroska counts in milliseconds.
    assert seen == pytest.approx([float(pts * TICK) for pts in times], abs=6e-4)
    for number, frame in enumerate(frames):
        planes = translated(number, 0).picture.data
        error = np.abs(frame.to_ndarray().astype(int) - planes)
        assert error.mean() < 1.5, number
    if name != "out.ts":
        # Matroska has no room for what the codec plays before time 0.
        kept = sound_of(tmp_path / name)
        assert sound.endswith(kept) and len(kept) > 0.95 * len(sound)


@real
@pytest.mark.parametrize(
    ("broken", "limit_s", "said"),
    [
        ("identity error-after=4", 30.0, "failed: it ended (ERROR: from element"),
        ("identity sleep-time=60000000", 1.0, "no picture taken for 1 s"),
        ("identity drop-probability=0.5", 30.0, "of 30 pictures came back"),
    ],
)
def test_what_fails_in_gstreamer_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, limit_s: float, said: str
) -> None:
    encode = ELEMENTS[X264]
    monkeypatch.setattr(gstreamer_encoder, "LIMIT_S", limit_s)
    monkeypatch.setitem(ELEMENTS, X264, lambda to: f"{broken} ! {encode(to)}")
    monkeypatch.setattr(gstreamer_elements, "why_not", lambda element: "")
    made = sink(tmp_path / "out.mp4")
    with pytest.raises(OutputError) as caught:
        write_all(made, 30)
    line = str(caught.value)
    assert said in line and line.startswith("GStreamer's encoder x264enc") and "\n" not in line
    assert not list(tmp_path.iterdir())


@real
def test_a_stream_that_is_given_up_ends_its_process(tmp_path: Path) -> None:
    made = sink(tmp_path / "out.mp4")
    made.write(translated(0, 0))
    assert made._pictures is not None and made._pictures._gstreamer is not None
    process = made._pictures._gstreamer._process
    assert process.poll() is None
    made.abort()
    assert process.poll() is not None and not list(tmp_path.iterdir())


def test_a_jetson_copies_a_picture_once_into_the_encoders_memory() -> None:
    text = pipeline("nvv4l2h264enc", 640, 512, Fraction(30), Fraction(1), 30, 7)
    steps = [step.split()[0] for step in text.split(" ! ")]
    assert steps == [
        "fdsrc",
        "rawvideoparse",
        "nvvidconv",
        "video/x-raw(memory:NVMM),format=I420",
        "nvv4l2h264enc",
        "h264parse",
        "matroskamux",
        "fdsink",
    ]
    assert "bitrate=4000000" in text and "idrinterval=30" in text
    large = pipeline("nvv4l2h265enc", 1920, 1080, Fraction(60), Fraction(1), 60, 7)
    assert "bitrate=14929920" in large and "h265parse" in large


def test_the_first_live_encoder_of_a_jetson_is_its_own(
    tools: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tools(launch="exit 0", inspect="exit 0")
    order = list(encoding.LIVE)
    assert order.index("nvv4l2h264enc") < order.index("h264_v4l2m2m") < order.index("libx264")
    monkeypatch.setattr(encoding, "LIVE", {"nvv4l2h264enc": {}, "libx264": {}})
    with caplog.at_level(logging.INFO, "ladle_rt.engine"):
        assert plan_live_encoder("mpegts").codec == "nvv4l2h264enc"
    assert caplog.messages == ["encoder nvv4l2h264enc"]


@pytest.mark.parametrize(
    ("scripts", "reason"),
    [
        ({}, "gst-launch-1.0 is not installed; apt install gstreamer1.0-tools"),
        ({"launch": "exit 0", "inspect": "exit 1"}, "no such element; leave --codec out"),
        (
            {"launch": "echo noise >&2; echo ERROR: no device >&2; exit 1", "inspect": "exit 0"},
            "does not start (ERROR: no device); leave --codec out",
        ),
    ],
)
def test_without_one_live_video_falls_back_and_files_are_refused_in_words(
    tools: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    scripts: dict[str, str],
    reason: str,
) -> None:
    tools(**scripts)
    with pytest.raises(ConfigError) as caught:
        plan_encoder(tmp_path / "out.mp4", VideoEncoding("nvv4l2h264enc"))
    line = str(caught.value)
    assert line.startswith("GStreamer's encoder nvv4l2h264enc cannot be used: ")
    assert reason in line and "\n" not in line
    monkeypatch.setattr(encoding, "LIVE", {"nvv4l2h264enc": {}, "mpeg4": {}})
    with caplog.at_level(logging.INFO, "ladle_rt.engine"):
        assert plan_live_encoder("matroska").codec == "mpeg4"
    assert caplog.messages == ["encoder mpeg4, because nvv4l2h264enc cannot be opened here"]


@pytest.mark.parametrize("suffix", [".avi", ".webm"])
def test_containers_that_cannot_hold_it(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ConfigError, match=rf"{suffix} files do not take codec nvv4l2h265enc"):
        plan_encoder(tmp_path / f"out{suffix}", VideoEncoding("nvv4l2h265enc"))


def test_a_rate_factor_is_not_theirs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="codec x264enc has no crf"):
        plan_encoder(tmp_path / "out.mp4", VideoEncoding(X264, crf=20))
