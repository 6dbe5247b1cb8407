"""What is done, what is done again, and what is refused."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from archives import QUICK, Lab
from clips import frame_count

from ladle_rt.archive.folder_store import FolderStore
from ladle_rt.archive.plan import Archive
from ladle_rt.archive.run_archive import estimate_archive, run_archive
from ladle_rt.archive.survey import survey
from ladle_rt.archive.tasks import Event, JoinTask, Lost, SegmentDone, SurveyTask, Task
from ladle_rt.errors import (
    BackendError,
    ConfigError,
    InputError,
    InputNotFoundError,
    OutputError,
)
from ladle_rt.thermal.scene_reader import ReadOptions


def test_folders_names_corrupt_files_and_a_second_run(lab: Lab) -> None:
    lab.record("a.mkv", 30)
    lab.record("deep/er/b.avi", 20, codec="ffv1")
    cut = lab.record("cut.mp4", 60, pix_fmt="yuv420p")
    cut.write_bytes(cut.read_bytes()[:-2000])
    lab.record("same.mp4", 10, pix_fmt="yuv420p")
    lab.record("same.mkv", 10)
    (lab.folder / "in" / "junk.mkv").write_bytes(b"junk")
    (lab.folder / "in" / "readme.txt").write_text("no video")
    report = lab.run()
    out = lab.out
    visible = [p for p in sorted(out.rglob("*.*")) if ".ladle-rt" not in p.parts and p.is_file()]
    assert [str(p.relative_to(out)) for p in visible] == ["a.mp4", "deep/er/b.mp4"]
    assert [frame_count(p) for p in visible] == [30, 20]
    failed = {Path(url).name: reason for url, reason in report.failures.items()}
    assert sorted(failed) == ["cut.mp4", "junk.mkv", "same.mkv", "same.mp4"]
    assert "rename one" in failed["same.mkv"] and "not a video" in failed["junk.mkv"]
    assert not report.complete and "4 failed" in report.to_text()
    written = json.loads((out / ".ladle-rt" / "report.json").read_text())
    assert [one["frames"] for one in written["translated"]] == [30, 20]
    assert not list((out / ".ladle-rt" / "cuts").glob("*/*.nut"))

    again = lab.run()
    assert json.loads(again.to_json())["skipped"] == ["a.mp4", "deep/er/b.mp4"]
    assert not again.outcomes and not lab.made[-1].runs


def test_a_damaged_recording_is_translated_and_told(lab: Lab) -> None:
    cut = lab.record("cut.mkv", 60)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    report = lab.run()
    (outcome,) = report.outcomes
    assert 0 < outcome.frames < 60 and outcome.frames == frame_count(lab.out / "cut.mp4")
    assert not report.complete and "damaged" in outcome.damage


def test_other_options_are_other_videos_and_need_overwrite(lab: Lab) -> None:
    lab.record("a.mkv", 20)
    first = lab.run()
    marked = lab.job(options=replace(QUICK, mark=True))
    assert "--overwrite" in next(iter(run_archive(marked).failures.values()))
    second = run_archive(replace(marked, overwrite=True))
    assert second.outcomes[0].key != first.outcomes[0].key
    # How it is computed is not what it looks like.
    faster = replace(marked, options=replace(marked.options, threads=2))
    assert run_archive(faster).before == second.outcomes
    assert estimate_archive(marked).recordings == 0


def test_runs_get_shorter_and_a_lost_worker_costs_its_unfinished_segments(lab: Lab) -> None:
    lab.record("a.mkv", 240)
    deaths = []

    def die(task: Task, event: Event) -> Event:
        if isinstance(event, SegmentDone) and event.record.number == 2 and not deaths:
            # The segment is in the ledger, and nobody heard of it.
            deaths.append(event)
            return Lost("node gone")
        return event

    lab.workers(count=2, meddle=die)
    report = lab.run()
    assert report.complete and report.losses == ["node gone"]
    assert lab.made[0].runs[:2] == [(0, 3), (4, 6)]
    assert (3, 3) in lab.made[0].runs
    assert frame_count(lab.out / "a.mp4") == 240
    assert report.outcomes[0].segments == 12


@pytest.mark.parametrize("kind", [SurveyTask, JoinTask])
def test_other_tasks_are_done_again(lab: Lab, kind: type) -> None:
    lab.record("a.mkv", 20)
    deaths = []

    def die(task: Task, event: Event) -> Event:
        if isinstance(task, kind) and not deaths:
            deaths.append(event)
            return Lost("node gone")
        return event

    lab.workers(count=1, meddle=die)
    report = lab.run()
    assert report.complete and report.losses == ["node gone"]
    assert [one.frames for one in report.outcomes] == [20]


def test_a_recording_that_kills_its_workers_is_given_up(lab: Lab) -> None:
    lab.record("a.mkv", 20)
    lab.workers(count=1, meddle=lambda task, event: Lost("node gone"))
    report = lab.run()
    assert "3 workers ended over it" in next(iter(report.failures.values()))


class KilledError(Exception):
    """As if the driver had been killed."""


def kill_after(number: int) -> Callable[[Task, Event], Event]:
    """The driver does not hear of this segment any more."""

    def kill(task: Task, event: Event) -> Event:
        if isinstance(event, SegmentDone) and event.record.number == number:
            raise KilledError
        return event

    return kill


def test_an_interrupted_run_goes_on_from_its_ledger(lab: Lab) -> None:
    lab.record("a.mkv", 120)
    lab.workers(count=1, meddle=kill_after(3))
    with pytest.raises(KilledError):
        lab.run()
    lab.workers(count=1)
    report = lab.run()
    # The worker may have finished more than the driver heard of.
    assert report.resumed >= 4 and lab.made[0].runs == [(report.resumed, 5)]
    assert frame_count(lab.out / "a.mp4") == 120 == report.outcomes[0].frames


def test_clocks_that_differ_change_nothing(lab: Lab) -> None:
    """A recording of a camera that is ahead, a ledger of a worker that is far behind."""
    source = lab.record("a.mkv", 120)
    ahead_s = time.time() + 86400
    os.utime(source, (ahead_s, ahead_s))

    def turn_back() -> None:
        for path in lab.out.rglob("*"):
            os.utime(path, (0, 0))

    lab.workers(count=1, meddle=kill_after(0))
    with pytest.raises(KilledError):
        lab.run()
    turn_back()
    lab.workers(count=1)
    # The worker may have finished more than the driver heard of.
    done = lab.run().resumed
    assert 1 <= done < 6 and lab.made[0].runs == [(done, 5)]
    turn_back()
    assert [one.target for one in lab.run().before] == ["a.mp4"]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"read": ReadOptions(polarity="auto")}, "first frames"),
        ({"options": replace(QUICK, dead_pixels=True)}, "dead pixels"),
        ({"options": replace(QUICK, skip_unchanged=True)}, "unchanged"),
    ],
)
def test_what_depends_on_all_before_is_one_segment(
    lab: Lab, settings: dict[str, Any], why: str
) -> None:
    path = lab.record("a.mkv", 60)
    chosen = {"options": QUICK, **settings}
    found = survey(path, Archive("", "", segment_s=2, **chosen))
    assert len(found.segments) == 1 and why in found.why_whole
    assert lab.run(**settings).complete
    assert lab.made[0].runs == [(0, 0)]


def test_packets_that_do_not_tell_frames_are_one_segment(lab: Lab) -> None:
    path = lab.record("a.webm", 60, codec="libvpx", pix_fmt="yuv420p")
    found = survey(path, Archive("", "", segment_s=2, options=QUICK))
    assert len(found.segments) == 1 and "vp8" in found.why_whole


def test_refusals(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputNotFoundError, match="no such file or folder"):
        lab.run()
    (lab.folder / "in").mkdir()
    with pytest.raises(InputError, match="expected recordings"):
        lab.run()
    lab.record("a.mkv", 10)
    lab.out.write_text("a file")
    with pytest.raises(OutputError, match="out"):
        lab.run()
    lab.out.unlink()
    with pytest.raises(ConfigError, match="segments must be"):
        lab.run(segment_s=0.1)
    with pytest.raises(ConfigError, match="--start"):
        lab.run(options=replace(QUICK, start_s=2))
    with pytest.raises(ConfigError, match="add its address"):
        lab.job(gpus=0.5)
    monkeypatch.setattr("ladle_rt.archive.work.__version__", "0.1.0")
    with pytest.raises(BackendError, match=r"version 0\.1\.0.*install the same"):
        lab.run()


def test_a_full_disk_ends_the_run_and_keeps_what_is_finished(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.record("a.mkv", 60)
    write, written = FolderStore.write, []

    def full(self: FolderStore, name: str, data: bytes) -> None:
        written.append(name)
        if len(written) > 4:
            raise OutputError(f"{name}: cannot be written (No space left on device)")
        write(self, name, data)

    lab.workers(count=1)
    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "write", full)
        with pytest.raises(OutputError, match="No space left"):
            lab.run()
    report = lab.run()
    assert report.complete and report.resumed == 2
