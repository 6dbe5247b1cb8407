"""What a worker does with a task, alike on this machine and on any node."""

from __future__ import annotations

import os
import platform
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ladle_rt import __version__
from ladle_rt.addresses import masked
from ladle_rt.archive.archive_storage import open_store, split_file
from ladle_rt.archive.folder_store import FolderStore
from ladle_rt.archive.join import join
from ladle_rt.archive.ledger import HIDDEN, Ledger, Outcome, SegmentRecord
from ladle_rt.archive.plan import Archive, Recording
from ladle_rt.archive.run_segments import run_segments
from ladle_rt.archive.shipped_model import ShippedModel, unpack
from ladle_rt.archive.survey import Segment, survey
from ladle_rt.archive.tasks import (
    Event,
    Failed,
    Finished,
    Joined,
    JoinTask,
    Progress,
    RunTask,
    SegmentDone,
    Surveyed,
    SurveyTask,
    Task,
)
from ladle_rt.errors import (
    BackendError,
    LadleError,
    MissingDependencyError,
    ModelError,
    OutputError,
    PartialResultError,
)
from ladle_rt.files import scratch_folder, temporary_folder
from ladle_rt.frames import MediaPart

TELL_S = 5.0
"""How often a run says how far it is: a thousand of them must not keep the driver busy."""
EVERYWHERE = (BackendError, MissingDependencyError, ModelError)
"""Errors that are no recording's fault."""


def work(task: Task, model: ShippedModel) -> Iterator[Event]:
    """Do a task and tell what comes of it, as it comes.

    Args:
        task: what to do.
        model: for runs.

    Yields:
        The last event is `Finished` or `Failed`. Nothing is raised: a bug's traceback is the
        reason of a failure.
    """
    told: queue.Queue[Event] = queue.Queue()
    worker = threading.Thread(target=_guarded, args=(task, model, told.put), daemon=True)
    worker.start()
    while True:
        event = told.get()
        yield event
        if isinstance(event, Finished | Failed):
            return


def _guarded(task: Task, model: ShippedModel, notify: Callable[[Event], None]) -> None:
    wanted = task.archive.version
    if wanted != __version__:
        notify(
            Failed(
                f"{platform.node()} has version {__version__} of this program, the driver "
                f"{wanted}; install the same on all",
                everywhere=True,
            )
        )
        return
    try:
        _Worker(task.archive, task.recording, notify).do(task, model)
    except OutputError as error:
        notify(Failed(str(error), writing=True))
    except LadleError as error:
        notify(Failed(str(error), everywhere=isinstance(error, EVERYWHERE)))
    except BaseException:
        notify(Failed(f"a bug: {traceback.format_exc()}"))
    else:
        notify(Finished())


class _Worker:
    def __init__(
        self, archive: Archive, recording: Recording, notify: Callable[[Event], None]
    ) -> None:
        self._archive, self._recording, self._tell = archive, recording, notify
        self._ledger = Ledger(archive)

    def do(self, task: Task, model: ShippedModel) -> None:
        with ExitStack() as stack:
            scratch = self._scratch(stack)
            root, name = split_file(self._recording.url)
            local = open_store(root).fetch(name, scratch)
            if isinstance(task, SurveyTask):
                found = survey(local, self._archive)
                self._ledger.keep_survey(self._recording, found)
                self._tell(Surveyed(found))
            elif isinstance(task, RunTask):
                self._run(task, model, local, scratch)
            else:
                self._join(task, local, scratch)

    def _scratch(self, stack: ExitStack) -> Path:
        """On the target's own disk where it is one, so that files need not be copied."""
        store = self._ledger.store
        if not isinstance(store, FolderStore):
            return stack.enter_context(scratch_folder())
        hidden = Path(store.root, HIDDEN)
        hidden.mkdir(parents=True, exist_ok=True)
        return stack.enter_context(temporary_folder(hidden / "scratch"))

    def _run(self, task: RunTask, model: ShippedModel, local: Path, scratch: Path) -> None:
        begun_s = time.monotonic()
        told_s, told_frames = begun_s, 0

        def finished(segment: Segment, frames: int, file: Path | None) -> None:
            nonlocal begun_s
            size = 0
            if file is not None:
                size = file.stat().st_size
                name = self._ledger.segment_file(self._recording, segment.number)
                self._ledger.store.put(file, name)
            now_s = time.monotonic()
            name = f"{platform.node()}:{os.getpid()}"
            record = SegmentRecord(segment.number, frames, size, now_s - begun_s, name)
            begun_s = now_s
            self._ledger.keep_segment(self._recording, record)
            self._tell(SegmentDone(record))

        def progress(frames: int) -> None:
            nonlocal told_s, told_frames
            now_s = time.monotonic()
            if now_s - told_s >= TELL_S:
                self._tell(Progress(frames - told_frames))
                told_s, told_frames = now_s, frames

        archive = replace(
            self._archive,
            options=replace(self._archive.options, threads=task.threads, warm_start=False),
        )
        segments = task.survey.segments[task.first : task.last + 1]
        target = Path(self._recording.target).name
        try:
            run_segments(
                local,
                scratch,
                scratch / target,
                archive,
                task.survey,
                segments,
                unpack(model),
                finished,
                progress,
            )
        except PartialResultError as error:
            reason = str(error).replace(str(local), masked(self._recording.url))
            self._ledger.keep_damage(self._recording, reason)

    def _join(self, task: JoinTask, local: Path, scratch: Path) -> None:
        begun_s = time.monotonic()
        records = self._ledger.segments(self._recording)
        parts = [
            self._ledger.store.fetch(self._ledger.segment_file(self._recording, number), scratch)
            for number, record in sorted(records.items())
            if record.frames
        ]
        video = scratch / f"joined-{Path(self._recording.target).name}"
        media = MediaPart(local, origin_s=task.survey.origin_s)
        options = self._archive.options
        join(parts, video, media, options.encoding, options.sound)
        size = video.stat().st_size
        self._ledger.store.put(video, self._recording.target)
        damage = self._ledger.damage(self._recording) or _missing(task, records)
        outcome = Outcome(
            self._archive.key(self._recording),
            masked(self._recording.url),
            self._recording.target,
            sum(one.frames for one in records.values()),
            size,
            len(records),
            sum(one.seconds for one in records.values()) + time.monotonic() - begun_s,
            damage,
        )
        self._ledger.keep_outcome(self._recording, outcome)
        self._tell(Joined(outcome))


def _missing(task: JoinTask, records: dict[int, SegmentRecord]) -> str:
    """Whether the recording's own account of its frames and what was written agree."""
    for segment in task.survey.segments:
        written = records[segment.number].frames
        if segment.frames is not None and segment.frames != written:
            return (
                f"segment {segment.number} of {masked(task.recording.url)}: expected "
                f"{segment.frames} frames, received {written}"
            )
    return ""
