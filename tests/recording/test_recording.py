from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladle_rt.errors import InputError, InputNotFoundError, OutputError, PartialResultError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.recording.recording_sink import RecordingSink
from ladle_rt.recording.recording_source import RecordingSource
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sources.video_source import VideoSource

CONTEXT = SinkContext(8, 8, Fraction(30), Fraction(1, 1000))
PICTURE = Picture("yuv420p", np.zeros((3, 2), np.uint8), 2, 2)


def record(path: Path, frames: list[Frame]) -> Path:
    sink = RecordingSink(path, CONTEXT)
    for frame in frames:
        sink.write(TranslatedFrame(frame, PICTURE))
    sink.close()
    return path


def same(found: Frame, frame: Frame) -> bool:
    return found.pixels.dtype == frame.pixels.dtype and np.array_equal(found.pixels, frame.pixels)


@settings(max_examples=25, deadline=None)
@given(
    shapes=st.lists(
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.booleans()), min_size=1, max_size=6
    ),
    seed=st.integers(0, 2**31),
)
def test_replays_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, int, bool]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frames = []
    for number, (height, width, wide) in enumerate(shapes):
        dtype = np.uint16 if wide else np.uint8
        pixels = rng.integers(0, np.iinfo(dtype).max, (height, width), dtype, endpoint=True)
        frames.append(Frame(pixels, 3 * number, 10**15 + number, 33 * number, Fraction(1, 1000)))
    path = record(tmp_path_factory.mktemp("r") / "a.lrec", frames)
    with RecordingSource(path) as source:
        found = list(source)
    assert all(map(same, found, frames)) and len(found) == len(frames)
    assert [one.pts for one in found] == [one.pts for one in frames]
    assert [one.sequence for one in found] == list(range(len(frames)))


def test_real_16_bit_footage(shared_data: Path, tmp_path: Path) -> None:
    with VideoSource(shared_data / "video16" / "skyline_160x120_gray16.mkv") as source:
        frames = list(source)
    path = record(tmp_path / "a.lrec", frames)
    with RecordingSource(path) as source:
        assert float(source.info.rate) == pytest.approx(9, rel=0.05)
        found = list(source)
    assert all(map(same, found, frames)) and len(found) == len(frames) == 91
    assert [one.time_s for one in found] == [one.time_s for one in frames]


def test_frames_without_a_time_of_their_own_keep_the_capture_time(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4), np.uint8)
    path = record(tmp_path / "a.lrec", [Frame(pixels, n, 5_000 + n * 10**8) for n in range(5)])
    with RecordingSource(path) as source:
        found = list(source)
        assert source.info.rate == 10
    assert [one.time_s for one in found] == pytest.approx([n / 10 + 5e-6 for n in range(5)])


def test_cut_anywhere_it_is_readable_to_the_last_whole_frame(tmp_path: Path) -> None:
    frames = [Frame(np.full((6, 5), n, np.uint16), n, n, n, Fraction(1, 30)) for n in range(4)]
    whole = record(tmp_path / "a.lrec", frames).read_bytes()
    ends = [record(tmp_path / f"{n}.lrec", frames[:n]).stat().st_size for n in range(1, 5)]
    for size in range(ends[0], len(whole) + 1, 3):
        path = tmp_path / "cut.lrec"
        path.write_bytes(whole[:size])
        found = []
        with RecordingSource(path) as source:
            try:
                found.extend(source)
                complete = True
            except PartialResultError:
                complete = False
        assert len(found) == sum(end <= size for end in ends)
        assert complete == (size in ends)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        RecordingSource(tmp_path / "none.lrec")
    (tmp_path / "text.lrec").write_text("hello")
    with pytest.raises(InputError, match="another kind of file"):
        RecordingSource(tmp_path / "text.lrec")
    with pytest.raises(OutputError, match="already exists"):
        RecordingSink(tmp_path / "text.lrec", CONTEXT)
