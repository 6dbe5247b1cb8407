"""An archive's video against the one that `ladle_rt.translate_video` makes in one go."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ladle_rt.api import translate_video
from ladle_rt.archive.run_archive import ArchiveJob, run_archive
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


def test_segments_give_the_picture_of_one_run(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    source = write_recording(tmp_path / "in" / "a.mkv", frames=400)
    # Every segment is a run of its own: nothing is carried over but by warming up.
    (workers,) = [inline(count=99)]
    job = ArchiveJob(
        (str(source),), str(tmp_path), tiny_model, LOSSLESS, container="mkv", segment_s=4
    )
    report = run_archive(job)
    assert workers[0].runs == [(n, n) for n in range(10)]
    translate_video(source, tmp_path / "one.mkv", model=tiny_model, options=LOSSLESS)
    times, pictures = frames_of(tmp_path / "a.mkv")
    times_of_one, pictures_of_one = frames_of(tmp_path / "one.mkv")
    assert report.complete and times == times_of_one and len(times) == 400
    difference = np.abs(pictures.astype(int) - pictures_of_one.astype(int))
    assert difference.max() <= 1
    # The levels drift all the time, and the picture with them.
    assert np.abs(np.diff(pictures[:, :64].astype(int), axis=0)).max() > 20


def test_without_a_warm_up_it_would_differ(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ladle_rt.archive.survey.WARM_PICTURES", 1)
    monkeypatch.setattr("ladle_rt.archive.survey.WARM_LEVELS", 0.01)
    source = write_recording(tmp_path / "in" / "a.mkv", frames=120)
    inline(count=99)
    job = ArchiveJob(
        (str(source),), str(tmp_path), tiny_model, LOSSLESS, container="mkv", segment_s=4
    )
    run_archive(job)
    translate_video(source, tmp_path / "one.mkv", model=tiny_model, options=LOSSLESS)
    first, second = (frames_of(tmp_path / name)[1].astype(int) for name in ("a.mkv", "one.mkv"))
    assert np.abs(first - second).max() > 3


@pytest.mark.parametrize("name", ["b.mp4", "b.ts", "b.mkv"])
def test_sound_times_and_tags_come_along(
    write_recording: Callable[..., Path],
    name: str,
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    times = [n * 100 + n % 3 * 10 for n in range(100)]
    source = write_recording(
        tmp_path / "in" / name, 100, times=times, sound=True, pix_fmt="yuv420p"
    )
    inline(count=3)
    options = TranslateOptions(encoding=VideoEncoding(preset="ultrafast"), threads=1)
    job = ArchiveJob((str(source.parent),), str(tmp_path), tiny_model, options, segment_s=2)
    assert run_archive(job).complete
    one = tmp_path / "one.mp4"
    translate_video(source, one, model=tiny_model, options=options)
    assert frames_of(tmp_path / "b.mp4")[0] == frames_of(one)[0]
    heard = []
    for path in (tmp_path / "b.mp4", one):
        with av.open(str(path)) as container:
            packets = [bytes(p) for p in container.demux(audio=0) if p.size]
            heard.append((packets, dict(container.metadata).get("title")))
    assert heard[0] == heard[1] and heard[0][0]
