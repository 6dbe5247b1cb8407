from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ladle_rt.config import TranslateOptions, VideoEncoding
from ladle_rt.errors import (
    ConfigError,
    FalseColourError,
    InputError,
    InputNotFoundError,
    OutputError,
    PartialResultError,
)
from ladle_rt.pipeline.processing import Processing
from ladle_rt.pipeline.video_job import VideoJob, VideoResult, translate_video
from ladle_rt.thermal.normalization import ThermalNormalization

WriteClip = Callable[..., Path]
QUICK = VideoEncoding(preset="ultrafast")


def plain(translator: Any) -> Processing:
    """The translator's pictures as they are."""
    return Processing(translator, TranslateOptions(steady=0), ThermalNormalization())


@pytest.fixture
def translate(thread_translator: Any) -> Callable[..., VideoResult]:
    def go(source: Path, target: Path, stop: threading.Event | None = None, **settings: Any):
        settings.setdefault("encoding", QUICK if target.suffix != ".webm" else VideoEncoding())
        job = VideoJob(source, target, TranslateOptions(**settings))
        return translate_video(job, lambda frame: plain(thread_translator()), stop=stop)

    return go


def video_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [
            frame.pts * Fraction(frame.time_base)
            for frame in container.decode(container.streams.video[0])
        ]


def audio_packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        return [
            (float(packet.pts * packet.time_base), bytes(packet))
            for packet in container.demux(container.streams.audio[0])
            if packet.size
        ]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".part" in path.name]


def test_pictures_and_times_arrive(write_clip: WriteClip, tmp_path: Path, translate: Any) -> None:
    result = translate(write_clip("in.mp4", 30), tmp_path / "out.mp4")
    assert result.output == tmp_path / "out.mp4"
    assert (result.statistics.captured, result.statistics.presented) == (30, 30)
    with av.open(str(result.output)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.codec_context.name == "h264"
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (
            1,
            1,
        )
        assert stream.codec_context.color_primaries == 1
    for index, frame in enumerate(frames):
        rgb = frame.to_ndarray(format="rgb24").astype(int)
        assert np.ptp(rgb, axis=2).max() < 12
        column = (index * 5) % 64
        assert rgb[:, column + 1].mean() > rgb[:, column - 8].mean() + 60
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(n, 25) for n in range(30)]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts"])
def test_variable_times_within_one_tick(
    write_clip: WriteClip, tmp_path: Path, translate: Any, suffix: str
) -> None:
    pts = [
        0,
        512,
        700,
        5000,
        5100,
        9000,
        20_000,
        20_700,
        33_000,
        33_333,
        50_001,
        64_000,
    ]
    result = translate(write_clip("vfr.mp4", 12, pts=pts), tmp_path / f"out{suffix}")
    tick = {".mkv": 1000, ".webm": 1000, ".ts": 90_000}.get(suffix, 12_800)
    written = video_times(result.output)
    start = written[0] if suffix == ".ts" else 0
    assert len(written) == 12
    for out, source in zip(written, pts, strict=True):
        assert abs(out - start - Fraction(source, 12_800)) <= Fraction(1, tick)


def test_avi_keeps_every_frame(write_clip: WriteClip, tmp_path: Path, translate: Any) -> None:
    result = translate(write_clip("in.mp4", 30), tmp_path / "out.avi")
    written = video_times(result.output)
    # AVI stores no times; a reader may count its pictures from 0 or from 1.
    assert [time - written[0] for time in written] == [Fraction(n, 25) for n in range(30)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_audio_is_copied_bit_for_bit(
    write_clip: WriteClip, tmp_path: Path, translate: Any, suffix: str
) -> None:
    source = write_clip("in.mp4", 50, audio="aac")
    result = translate(source, tmp_path / f"out{suffix}")
    before, after = audio_packets(source), audio_packets(result.output)
    if suffix == ".mkv":  # no room for what lies before the first picture
        before = [one for one in before if one[0] >= 0]
    assert [data for _, data in before] == [data for _, data in after]
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=1e-3)
    assert video_times(result.output) == [Fraction(n, 25) for n in range(50)]


def test_audio_longer_than_the_pictures_is_kept(
    write_clip: WriteClip, tmp_path: Path, translate: Any
) -> None:
    source = write_clip("in.mp4", 10, audio="aac", audio_s=3.0)
    result = translate(source, tmp_path / "out.mp4")
    assert len(audio_packets(result.output)) == len(audio_packets(source))


def test_audio_follows_the_chosen_part(
    write_clip: WriteClip, tmp_path: Path, translate: Any
) -> None:
    source = write_clip("in.mp4", 100, audio="aac")
    result = translate(source, tmp_path / "out.mp4", start_s=1.2, duration_s=0.8)
    assert video_times(result.output) == [Fraction(n, 25) for n in range(20)]
    before = {data: time for time, data in audio_packets(source)}
    after = audio_packets(result.output)
    assert after[0][0] == pytest.approx(0, abs=0.025)
    assert after[-1][0] == pytest.approx(0.8, abs=0.045)
    for _, data in after[3:-3]:
        assert data in before
    times = [time for time, _ in after]
    assert np.diff(times) == pytest.approx(1024 / 48_000, abs=1e-4)


def test_audio_that_does_not_fit_is_encoded_again(
    write_clip: WriteClip,
    tmp_path: Path,
    translate: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        result = translate(write_clip("in.mp4", 50, audio="aac"), tmp_path / "out.webm")
    assert "encoded as opus" in caplog.text
    with av.open(str(result.output)) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
        length_s = sum(
            frame.samples / frame.sample_rate
            for frame in container.decode(container.streams.audio[0])
        )
    assert length_s == pytest.approx(2.0, abs=0.1)


def damage_audio(source: Path, target: Path, which: range) -> Path:
    """A copy in Matroska whose audio packets of these numbers are noise."""
    rng = np.random.default_rng(0)
    with av.open(str(source)) as read, av.open(str(target), "w", format="matroska") as write:
        streams = {one.index: write.add_stream_from_template(one) for one in read.streams}
        number = 0
        for packet in read.demux():
            if packet.dts is None:
                continue
            copy = packet
            if packet.stream.type == "audio":
                if number in which:
                    copy = av.Packet(rng.integers(0, 256, packet.size, np.uint8).tobytes())
                    copy.pts, copy.dts = packet.pts, packet.dts
                    copy.time_base, copy.duration = packet.time_base, packet.duration
                number += 1
            copy.stream = streams[packet.stream.index]
            write.mux(copy)
    return target


@pytest.mark.parametrize("suffix", [".webm", ".mp4"])
def test_damaged_audio_leaves_the_video_whole(
    write_clip: WriteClip,
    tmp_path: Path,
    translate: Any,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
) -> None:
    """Encoded again, each damaged packet is left out; copied, players have to cope."""
    clean = write_clip("clean.mp4", 50, audio="aac")
    source = damage_audio(clean, tmp_path / "in.mkv", range(20, 40))
    result = translate(source, tmp_path / f"out{suffix}")
    assert len(video_times(result.output)) == 50
    with av.open(str(result.output)) as container:
        ends_s = [float(one.pts * one.time_base) for one in container.demux(audio=0) if one.size]
    assert max(ends_s) > 1.9, "the audio after the damage is kept"
    if suffix == ".webm":
        assert caplog.text.count("its audio is damaged") == 1


def test_all_audio_damaged_is_a_silent_video(
    write_clip: WriteClip, tmp_path: Path, translate: Any
) -> None:
    clean = write_clip("clean.mp4", 20, audio="aac")
    source = damage_audio(clean, tmp_path / "in.mkv", range(1000))
    result = translate(source, tmp_path / "out.webm")
    assert len(video_times(result.output)) == 20


def test_pixel_aspect_is_kept(write_clip: WriteClip, tmp_path: Path, translate: Any) -> None:
    source = write_clip("in.mp4", 3, aspect=Fraction(16, 11))
    result = translate(source, tmp_path / "out.mkv")
    with av.open(str(result.output)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


@pytest.mark.parametrize("size", [(1, 1), (65, 49), (2, 2)])
def test_odd_and_tiny_sizes(
    write_clip: WriteClip, tmp_path: Path, translate: Any, size: tuple[int, int]
) -> None:
    source = write_clip("in.mkv", 3, size, codec="ffv1", pix_fmt="gray")
    assert len(video_times(translate(source, tmp_path / "out.mp4").output)) == 3


def test_a_size_change_is_scaled_to_the_first_size(
    write_clip: WriteClip,
    tmp_path: Path,
    translate: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = write_clip("1.ts", 10), write_clip("2.ts", 10, (96, 64))
    (tmp_path / "in.ts").write_bytes(first.read_bytes() + second.read_bytes())
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        result = translate(tmp_path / "in.ts", tmp_path / "out.mp4")
    assert result.statistics.presented == 20
    assert len(video_times(result.output)) == 20
    assert caplog.text.count("scaled to the first size") == 1


def test_stopping_leaves_a_whole_shorter_file(
    write_clip: WriteClip, tmp_path: Path, thread_translator: Any
) -> None:
    stop = threading.Event()

    def work(frame: Any) -> None:
        if frame.sequence == 30:
            stop.set()

    source = write_clip("in.mp4", 200, audio="aac")
    job = VideoJob(source, tmp_path / "out.mp4", TranslateOptions(encoding=QUICK))
    sizes = []

    def make(frame: tuple[int, int]) -> Any:
        sizes.append(frame)
        return plain(thread_translator(work=work))

    result = translate_video(job, make, stop=stop)
    assert sizes == [(48, 64)]
    count = result.statistics.presented
    assert result.statistics.stopped
    assert 30 < count < 60
    assert video_times(job.output) == [Fraction(n, 25) for n in range(count)]
    assert audio_packets(job.output)[-1][0] == pytest.approx(count / 25, abs=0.05)
    assert leftovers(tmp_path) == []


def test_stopping_before_the_first_frame_leaves_nothing(
    write_clip: WriteClip, tmp_path: Path, translate: Any
) -> None:
    stop = threading.Event()
    stop.set()
    result = translate(write_clip("in.mp4"), tmp_path / "out.mp4", stop=stop)
    assert result.output is None
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_a_damaged_input_gives_what_could_be_read(
    write_clip: WriteClip, tmp_path: Path, translate: Any
) -> None:
    source = write_clip("in.mp4", 80, muxer={"movflags": "faststart"}, audio="aac")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(PartialResultError):
        translate(source, tmp_path / "out.mp4")
    assert 5 < len(video_times(tmp_path / "out.mp4")) < 80


def refuse(frame: tuple[int, int]) -> Any:
    raise AssertionError("a translator was made before the check")


@pytest.mark.parametrize(
    ("target", "settings", "expected", "message"),
    [
        ("in.mp4", {"overwrite": True}, OutputError, "same file"),
        ("there.mp4", {}, OutputError, "already exists"),
        ("none/out.mp4", {}, OutputError, "does not exist"),
        ("folder.mp4", {"overwrite": True}, OutputError, "folder"),
        ("out.xyz", {}, OutputError, "expected one of"),
        ("out", {}, OutputError, "no extension"),
        ("out.webm", {"encoding": VideoEncoding("h264")}, ConfigError, "do not take"),
        (
            "out.mp4",
            {"encoding": VideoEncoding("nonsense")},
            ConfigError,
            "not an encoder",
        ),
        ("out.mp4", {"encoding": VideoEncoding("aac")}, ConfigError, "video encoder"),
        ("out.mp4", {"encoding": VideoEncoding(preset="nope")}, ConfigError, "refuses"),
        (
            "out.mp4",
            {"encoding": VideoEncoding("mpeg4", crf=3)},
            ConfigError,
            "has no crf",
        ),
        ("out.mp4", {"start_s": 60.0}, InputError, "start within"),
    ],
)
def test_refused_before_any_work(
    write_clip: WriteClip,
    tmp_path: Path,
    target: str,
    settings: dict[str, Any],
    expected: type[Exception],
    message: str,
) -> None:
    source = write_clip("in.mp4")
    (tmp_path / "there.mp4").write_text("keep me")
    (tmp_path / "folder.mp4").mkdir()
    before = sorted(os.listdir(tmp_path))
    overwrite = settings.pop("overwrite", False)
    job = VideoJob(source, tmp_path / target, TranslateOptions(**settings), overwrite)
    with pytest.raises(expected, match=message):
        translate_video(job, refuse)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "there.mp4").read_text() == "keep me"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_are_never_replaced(write_clip: WriteClip) -> None:
    with pytest.raises(OutputError, match=r"plain file|expected one of"):
        translate_video(VideoJob(write_clip("in.mp4"), Path("/dev/full"), overwrite=True), refuse)


def test_missing_input(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        translate_video(VideoJob(tmp_path / "no.mp4", tmp_path / "out.mp4"), refuse)


def test_overwriting_replaces_only_at_the_end(
    write_clip: WriteClip, tmp_path: Path, thread_translator: Any
) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("old")

    def fail(frame: Any) -> None:
        if frame.sequence == 15:
            raise RuntimeError("engine broke")

    job = VideoJob(write_clip("in.mp4"), target, TranslateOptions(encoding=QUICK), overwrite=True)
    with pytest.raises(RuntimeError, match="engine broke"):
        translate_video(job, lambda frame: plain(thread_translator(work=fail)))
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == []
    translate_video(job, lambda frame: plain(thread_translator()))
    assert len(video_times(target)) == 20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_does_not_grow_with_length(
    write_clip: WriteClip, tmp_path: Path, thread_translator: Any
) -> None:
    def peak_mib(name: str, frames: int) -> float:
        peak = 0

        def sample(statistics: object, expected: int | None) -> None:
            nonlocal peak
            peak = max(peak, int(Path("/proc/self/statm").read_text().split()[1]))

        source = write_clip(name, frames, (320, 256), audio="aac")
        job = VideoJob(source, tmp_path / f"out-{name}", TranslateOptions(encoding=QUICK))
        translate_video(job, lambda frame: plain(thread_translator()), on_progress=sample)
        return peak * os.sysconf("SC_PAGE_SIZE") / 2**20

    short = peak_mib("short.mp4", 100)
    # 500 more frames are 39 MiB of luma alone.
    assert peak_mib("long.mp4", 600) - short < 16


def test_a_palette_stops_the_job_when_it_shows_late(tmp_path: Path, translate: Any) -> None:
    source = tmp_path / "late.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (48, 1))
        for index in range(20):
            rgb = np.stack([ramp, 255 - ramp, ramp // 2], 2) * (index > 10)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(FalseColourError):
        translate(source, tmp_path / "out.mp4")
    assert os.listdir(tmp_path) == ["late.mkv"]
    assert translate(source, tmp_path / "out.mp4", allow_colour=True).statistics.presented == 20


def test_a_video_keeps_its_own_times(
    write_clip: WriteClip, tmp_path: Path, thread_translator: Any
) -> None:
    job = VideoJob(write_clip("in.mp4"), tmp_path / "out.mp4", fps=9)
    with pytest.raises(ConfigError, match="leave fps out"):
        translate_video(job, lambda frame: plain(thread_translator()))
    assert not job.output.exists()
