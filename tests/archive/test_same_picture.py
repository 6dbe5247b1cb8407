"""An archive's video against the one that `ladle_rt.translate_video` makes in one go."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from archives import Lab

from ladle_rt.api import translate_video
from ladle_rt.config import TranslateOptions, VideoEncoding

LOSSLESS = TranslateOptions(encoding=VideoEncoding(codec="ffv1"), threads=1)


def frames_of(path: Path) -> tuple[list[Fraction], np.ndarray]:
    """Times, and Y, U and V of all frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return (
        [one.pts * Fraction(one.time_base) for one in frames],
        np.stack([one.to_ndarray(format="yuv420p") for one in frames]),
    )


def in_one_piece(lab: Lab, source: Path, options: TranslateOptions = LOSSLESS) -> Path:
    """What the archive's video is to be like."""
    one = lab.folder / f"one.{'mkv' if options is LOSSLESS else 'mp4'}"
    translate_video(source, one, model=lab.model, options=options)
    return one


def test_segments_give_the_picture_of_one_run(lab: Lab) -> None:
    source = lab.record(frames=400)
    # Every segment is a run of its own: nothing is carried over but by warming up.
    lab.workers(count=99)
    report = lab.run(options=LOSSLESS, container="mkv", segment_s=4)
    assert lab.made[0].runs == [(n, n) for n in range(10)]
    times, pictures = frames_of(lab.out / "a.mkv")
    times_of_one, pictures_of_one = frames_of(in_one_piece(lab, source))
    assert report.complete and times == times_of_one and len(times) == 400
    difference = np.abs(pictures.astype(int) - pictures_of_one.astype(int))
    assert difference.max() <= 1
    # The levels drift all the time, and the picture with them.
    assert np.abs(np.diff(pictures[:, :64].astype(int), axis=0)).max() > 20


def test_without_a_warm_up_it_would_differ(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ladle_rt.archive.survey.WARM_PICTURES", 1)
    monkeypatch.setattr("ladle_rt.archive.survey.WARM_LEVELS", 0.01)
    source = lab.record(frames=120)
    lab.workers(count=99)
    lab.run(options=LOSSLESS, container="mkv", segment_s=4)
    first, second = (
        frames_of(path)[1].astype(int) for path in (lab.out / "a.mkv", in_one_piece(lab, source))
    )
    assert np.abs(first - second).max() > 3


@pytest.mark.parametrize("name", ["b.mp4", "b.ts", "b.mkv"])
def test_sound_times_and_tags_come_along(lab: Lab, name: str) -> None:
    times = [n * 100 + n % 3 * 10 for n in range(100)]
    source = lab.record(name, 100, times=times, sound=True, pix_fmt="yuv420p")
    lab.workers(count=3)
    options = TranslateOptions(encoding=VideoEncoding(preset="ultrafast"), threads=1)
    assert lab.run(options=options).complete
    one = in_one_piece(lab, source, options)
    assert frames_of(lab.out / "b.mp4")[0] == frames_of(one)[0]
    heard = []
    for path in (lab.out / "b.mp4", one):
        with av.open(str(path)) as container:
            packets = [bytes(p) for p in container.demux(audio=0) if p.size]
            heard.append((packets, dict(container.metadata).get("title")))
    assert heard[0] == heard[1] and heard[0][0]


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("segment_s", [1, 4])
def test_encoders_that_reorder_lose_no_frame_of_any_segment(
    lab: Lab, name: str, codec: str, segment_s: float
) -> None:
    source = lab.record("b.mkv", 41)
    options = TranslateOptions(encoding=VideoEncoding(codec, preset="veryfast"), threads=1)
    lab.workers(count=2)
    container = name.partition(".")[2]
    assert lab.run(options=options, container=container, segment_s=segment_s).complete
    times, _ = frames_of(lab.out / name)
    assert times == frames_of(in_one_piece(lab, source, options))[0] and len(times) == 41
    with av.open(str(lab.out / name)) as joined:
        packets = [packet for packet in joined.demux(video=0) if packet.size]
    assert len(packets) == 41 and packets[0].is_keyframe
