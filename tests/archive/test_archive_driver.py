"""What is done, what is done again, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from ladle_rt.archive.plan import Archive
from ladle_rt.archive.run_archive import ArchiveJob, estimate_archive, run_archive
from ladle_rt.archive.tasks import Event, JoinTask, Lost, SegmentDone, SurveyTask, Task
from ladle_rt.config import TranslateOptions, VideoEncoding
from ladle_rt.errors import (
    BackendError,
    ConfigError,
    InputError,
    InputNotFoundError,
    OutputError,
)
from ladle_rt.thermal.scene_reader import ReadOptions

QUICK = TranslateOptions(encoding=VideoEncoding(preset="ultrafast"), steady=0, threads=1)


def job(tmp_path: Path, model: Path, **settings: Any) -> ArchiveJob:
    settings.setdefault("options", QUICK)
    settings.setdefault("segment_s", 2)
    return ArchiveJob((str(tmp_path / "in"),), str(tmp_path / "out"), model, **settings)


def frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_folders_names_corrupt_files_and_a_second_run(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    write_recording(tmp_path / "in" / "a.mkv", 30)
    write_recording(tmp_path / "in" / "deep" / "er" / "b.avi", 20, codec="ffv1")
    cut = write_recording(tmp_path / "in" / "cut.mp4", 60, pix_fmt="yuv420p")
    cut.write_bytes(cut.read_bytes()[:-2000])
    write_recording(tmp_path / "in" / "same.mp4", 10, pix_fmt="yuv420p")
    write_recording(tmp_path / "in" / "same.mkv", 10)
    (tmp_path / "in" / "junk.mkv").write_bytes(b"junk")
    (tmp_path / "in" / "readme.txt").write_text("no video")
    made = inline(count=2)
    report = run_archive(job(tmp_path, tiny_model))
    out = tmp_path / "out"
    visible = [p for p in sorted(out.rglob("*.*")) if ".ladle-rt" not in p.parts and p.is_file()]
    assert [str(p.relative_to(out)) for p in visible] == ["a.mp4", "deep/er/b.mp4"]
    assert [frames(p) for p in visible] == [30, 20]
    failed = {Path(url).name: reason for url, reason in report.failures.items()}
    assert sorted(failed) == ["cut.mp4", "junk.mkv", "same.mkv", "same.mp4"]
    assert "rename one" in failed["same.mkv"] and "not a video" in failed["junk.mkv"]
    assert not report.complete and "4 failed" in report.to_text()
    written = json.loads((out / ".ladle-rt" / "report.json").read_text())
    assert [one["frames"] for one in written["translated"]] == [30, 20]
    assert not list((out / ".ladle-rt" / "cuts").glob("*/*.nut"))

    again = run_archive(job(tmp_path, tiny_model))
    assert json.loads(again.to_json())["skipped"] == ["a.mp4", "deep/er/b.mp4"]
    assert not again.outcomes and not made[-1].runs


def test_a_damaged_recording_is_translated_and_told(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    cut = write_recording(tmp_path / "in" / "cut.mkv", 60)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    inline()
    report = run_archive(job(tmp_path, tiny_model))
    (outcome,) = report.outcomes
    assert 0 < outcome.frames < 60 and outcome.frames == frames(tmp_path / "out" / "cut.mp4")
    assert not report.complete and "damaged" in outcome.damage


def test_other_options_are_other_videos_and_need_overwrite(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    write_recording(tmp_path / "in" / "a.mkv", 20)
    inline()
    first = run_archive(job(tmp_path, tiny_model))
    marked = job(tmp_path, tiny_model, options=replace(QUICK, mark=True))
    assert "--overwrite" in next(iter(run_archive(marked).failures.values()))
    second = run_archive(replace(marked, overwrite=True))
    assert second.outcomes[0].key != first.outcomes[0].key
    # How it is computed is not what it looks like.
    faster = replace(marked, options=replace(marked.options, threads=2))
    assert run_archive(faster).before == second.outcomes
    assert estimate_archive(marked).recordings == 0


def test_runs_get_shorter_and_a_lost_worker_costs_its_unfinished_segments(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    write_recording(tmp_path / "in" / "a.mkv", 240)
    deaths = []

    def die(task: Task, event: Event) -> Event:
        if isinstance(event, SegmentDone) and event.record.number == 2 and not deaths:
            # The segment is in the ledger, and nobody heard of it.
            deaths.append(event)
            return Lost("node gone")
        return event

    made = inline(count=2, meddle=die)
    report = run_archive(job(tmp_path, tiny_model))
    assert report.complete and report.losses == ["node gone"]
    assert made[0].runs[:2] == [(0, 3), (4, 6)]
    assert (3, 3) in made[0].runs
    assert frames(tmp_path / "out" / "a.mp4") == 240
    assert report.outcomes[0].segments == 12


@pytest.mark.parametrize("kind", [SurveyTask, JoinTask])
def test_other_tasks_are_done_again(
    kind: type,
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    write_recording(tmp_path / "in" / "a.mkv", 20)
    deaths = []

    def die(task: Task, event: Event) -> Event:
        if isinstance(task, kind) and not deaths:
            deaths.append(event)
            return Lost("node gone")
        return event

    inline(count=1, meddle=die)
    report = run_archive(job(tmp_path, tiny_model))
    assert report.complete and report.losses == ["node gone"]
    assert [one.frames for one in report.outcomes] == [20]


def test_a_recording_that_kills_its_workers_is_given_up(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    write_recording(tmp_path / "in" / "a.mkv", 20)
    inline(count=1, meddle=lambda task, event: Lost("node gone"))
    report = run_archive(job(tmp_path, tiny_model))
    assert "3 workers ended over it" in next(iter(report.failures.values()))


def test_an_interrupted_run_goes_on_from_its_ledger(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    write_recording(tmp_path / "in" / "a.mkv", 120)

    class KilledError(Exception):
        pass

    def kill(task: Task, event: Event) -> Event:
        if isinstance(event, SegmentDone) and event.record.number == 3:
            raise KilledError
        return event

    inline(count=1, meddle=kill)
    with pytest.raises(KilledError):
        run_archive(job(tmp_path, tiny_model))
    made = inline(count=1)
    report = run_archive(job(tmp_path, tiny_model))
    assert report.resumed == 4 and made[0].runs == [(4, 5)]
    assert frames(tmp_path / "out" / "a.mp4") == 120 == report.outcomes[0].frames


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"read": ReadOptions(polarity="auto")}, "first frames"),
        ({"options": replace(QUICK, dead_pixels=True)}, "dead pixels"),
        ({"options": replace(QUICK, skip_unchanged=True)}, "unchanged"),
    ],
)
def test_what_depends_on_all_before_is_one_segment(
    write_recording: Callable[..., Path],
    settings: dict[str, Any],
    why: str,
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    from ladle_rt.archive.survey import survey

    path = write_recording(tmp_path / "in" / "a.mkv", 60)
    chosen = {"options": QUICK, **settings}
    found = survey(path, Archive("", "", segment_s=2, **chosen))
    assert len(found.segments) == 1 and why in found.why_whole
    made = inline()
    assert run_archive(job(tmp_path, tiny_model, **settings)).complete
    assert made[0].runs == [(0, 0)]


def test_packets_that_do_not_tell_frames_are_one_segment(
    write_recording: Callable[..., Path], tmp_path: Path
) -> None:
    from ladle_rt.archive.survey import survey

    path = write_recording(tmp_path / "a.webm", 60, codec="libvpx", pix_fmt="yuv420p")
    found = survey(path, Archive("", "", segment_s=2, options=QUICK))
    assert len(found.segments) == 1 and "vp8" in found.why_whole


def test_refusals(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inline()
    with pytest.raises(InputNotFoundError, match="no such file or folder"):
        run_archive(job(tmp_path, tiny_model))
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="expected recordings"):
        run_archive(job(tmp_path, tiny_model))
    write_recording(tmp_path / "in" / "a.mkv", 10)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out"):
        run_archive(job(tmp_path, tiny_model))
    (tmp_path / "out").unlink()
    with pytest.raises(ConfigError, match="segments must be"):
        run_archive(job(tmp_path, tiny_model, segment_s=0.1))
    with pytest.raises(ConfigError, match="--start"):
        run_archive(job(tmp_path, tiny_model, options=replace(QUICK, start_s=2)))
    with pytest.raises(ConfigError, match="add its address"):
        job(tmp_path, tiny_model, gpus=0.5)
    monkeypatch.setattr("ladle_rt.archive.work.__version__", "0.1.0")
    with pytest.raises(BackendError, match=r"version 0\.1\.0.*install the same"):
        run_archive(job(tmp_path, tiny_model))


def test_a_full_disk_ends_the_run_and_keeps_what_is_finished(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ladle_rt.archive.archive_storage import FolderStore

    write_recording(tmp_path / "in" / "a.mkv", 60)
    write, written = FolderStore.write, []

    def full(self: FolderStore, name: str, data: bytes) -> None:
        written.append(name)
        if len(written) > 4:
            raise OutputError(f"{name}: cannot be written (No space left on device)")
        write(self, name, data)

    inline(count=1)
    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "write", full)
        with pytest.raises(OutputError, match="No space left"):
            run_archive(job(tmp_path, tiny_model))
    report = run_archive(job(tmp_path, tiny_model))
    assert report.complete and report.resumed == 2
