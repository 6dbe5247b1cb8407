"""Hands tasks out, joins what is finished first, and loses nothing with a worker."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ladle_rt.archive.archive_report import Report
from ladle_rt.archive.ledger import HIDDEN, Ledger
from ladle_rt.archive.plan import Archive, Recording
from ladle_rt.archive.survey import Survey
from ladle_rt.archive.tasks import (
    Event,
    Failed,
    Finished,
    Joined,
    JoinTask,
    Lost,
    Progress,
    RunTask,
    SegmentDone,
    Surveyed,
    SurveyTask,
    Task,
)
from ladle_rt.archive.workers import Workers
from ladle_rt.errors import BackendError, LadleError

logger = logging.getLogger("ladle_rt")

POLL_S = 0.2
MOST_LOSSES = 3
"""A recording that so many workers died over without finishing a segment is given up."""


@dataclass(slots=True)
class _Job:
    """Where a recording is on its way."""

    recording: Recording
    survey: Survey | None = None
    missing: list[int] = field(default_factory=list)
    """Segments that nobody has finished or works on, in order."""
    running: int = 0
    """Tasks."""
    losses: int = 0
    """Workers lost since the last finished segment."""
    share: float = 0.0
    """Of the recording that is translated, by finished segments."""
    ended: bool = False


@dataclass(slots=True)
class _Given:
    """A task that a worker has."""

    job: _Job
    task: Task
    left: list[int] = field(default_factory=list)
    """Segments of a run that are not finished yet."""


def translate_archive(
    archive: Archive,
    recordings: Sequence[Recording],
    workers: Workers,
    report: Report,
    *,
    overwrite: bool = False,
    stop: threading.Event | None = None,
    on_progress: Callable[[float, int], None] | None = None,
) -> None:
    """Translate recordings; what an earlier run finished is not done again.

    Args:
        archive: what to do.
        recordings: see `ladle_rt.archive.plan.find_recordings`.
        workers: do it; stay open.
        report: is told what becomes of each recording.
        overwrite: whether videos that this program has not made, or with other settings, may be
            replaced.
        stop: when set, everything ends; finished segments stay for the next run.
        on_progress: told the bytes of recordings that are done, segments counted in, and the
            frames that have been translated.

    Raises:
        OutputError: the target cannot be written to.
        BackendError: no worker can translate anything.
    """
    ledger = Ledger(archive)
    # Before any work is spent: a full disk, a bucket without permission.
    ledger.store.write(f"{HIDDEN}/writable", b"")
    driver = _Driver(archive, ledger, workers, report, overwrite)
    driver.drive(recordings, stop or threading.Event(), on_progress)


class _Driver:
    def __init__(
        self, archive: Archive, ledger: Ledger, workers: Workers, report: Report, overwrite: bool
    ) -> None:
        self._archive, self._ledger, self._workers = archive, ledger, workers
        self._report, self._overwrite = report, overwrite
        self._waiting: deque[Recording] = deque()
        self._open: list[_Job] = []
        """Recordings that have been begun, in order."""
        self._given: dict[int, _Given] = {}
        self._tickets = itertools.count()
        self._bytes_done = 0
        self._frames = 0

    def drive(
        self,
        recordings: Sequence[Recording],
        stop: threading.Event,
        on_progress: Callable[[float, int], None] | None,
    ) -> None:
        """See `translate_archive`."""
        # The longest first (Graham, 1969): what is left for the end is small.
        self._waiting.extend(sorted(recordings, key=lambda one: -one.size))
        while not stop.is_set():
            while self._workers.has_room() and (given := self._next()) is not None:
                ticket = next(self._tickets)
                self._given[ticket] = given
                given.job.running += 1
                self._workers.submit(ticket, given.task)
            if not self._given:
                break
            for ticket, event in self._workers.poll(POLL_S):
                self._hear(ticket, event)
            if on_progress is not None:
                begun = sum(job.share * job.recording.size for job in self._open)
                on_progress(self._bytes_done + begun, self._frames)
        self._report.stopped = stop.is_set()
        self._ledger.tidy(recordings)

    def _next(self) -> _Given | None:
        """What is most useful now: an end, then a go on, then a beginning."""
        for job in self._open:
            if job.survey is not None and not job.missing and not job.running:
                return _Given(job, JoinTask(self._archive, job.recording, job.survey))
        for job in self._open:
            if job.missing:
                return self._run(job)
            if job.survey is None and not job.running:
                return _Given(job, SurveyTask(self._archive, job.recording))
        while self._waiting:
            given = self._begin(self._waiting.popleft())
            if given is not None:
                return given
        return None

    def _begin(self, recording: Recording) -> _Given | None:
        """The first task of a recording; ``None`` where there is nothing to do."""
        try:
            if (outcome := self._ledger.outcome(recording)) is not None:
                there = self._ledger.store.find(recording.target)
                whole = there is not None and there.size == outcome.size
                if whole and outcome.key == self._archive.key(recording):
                    self._report.skipped(outcome)
                    self._bytes_done += recording.size
                    return None
            if not self._overwrite and self._ledger.store.find(recording.target) is not None:
                self._give_up(
                    _Job(recording),
                    f"{recording.target}: already exists, not from this recording with this "
                    "model and these options; replace it with --overwrite",
                )
                return None
            job = _Job(recording, self._ledger.survey(recording))
            self._open.append(job)
            if job.survey is None:
                return _Given(job, SurveyTask(self._archive, recording))
            self._look_at_ledger(job)
        except LadleError as error:
            self._give_up(_Job(recording), str(error))
            return None
        if job.missing:
            return self._run(job)
        return _Given(job, JoinTask(self._archive, recording, job.survey))

    def _run(self, job: _Job) -> _Given:
        """Segments for one worker: all of a recording while there are others, then ever fewer.

        Guided self-scheduling (Polychronopoulos and Kuck, 1987): each gets its share of what is
        left, so that all end at about the same time; long runs, because each has to warm up.
        """
        assert job.survey is not None
        first = job.missing[0]
        follow = next(
            (n for n, number in enumerate(job.missing) if number != first + n), len(job.missing)
        )
        if not self._waiting:
            left = sum(len(one.missing) for one in self._open)
            follow = min(follow, math.ceil(left / (2 * self._workers.count - 1)))
        taken, job.missing = job.missing[:follow], job.missing[follow:]
        task = RunTask(
            self._archive,
            job.recording,
            job.survey,
            first,
            taken[-1],
            self._workers.threads,
        )
        return _Given(job, task, taken)

    def _hear(self, ticket: int, event: Event) -> None:
        given = self._given[ticket]
        job = given.job
        if isinstance(event, Surveyed):
            job.survey = event.survey
            job.missing = [one.number for one in event.survey.segments]
        elif isinstance(event, Progress):
            self._frames += event.frames
        elif isinstance(event, SegmentDone):
            job.losses = 0
            given.left.remove(event.record.number)
            self._report.segment(event.record)
            assert job.survey is not None
            job.share += 1 / len(job.survey.segments)
        elif isinstance(event, Joined):
            self._end(job)
            self._report.translated(event.outcome)
        else:
            del self._given[ticket]
            job.running -= 1
            self._ended(given, event)

    def _ended(self, given: _Given, event: Finished | Failed | Lost) -> None:
        job = given.job
        if job.ended or isinstance(event, Finished):
            return
        if isinstance(event, Failed):
            if event.everywhere:
                raise BackendError(event.reason)
            if event.writing:
                # The target's fault ends everything here, with its own message.
                self._ledger.store.write(f"{HIDDEN}/writable", b"")
            self._give_up(job, event.reason)
            return
        job.losses += 1
        self._report.lost(event.reason)
        logger.warning("%s: %s; it is done again", job.recording.target, event.reason)
        if job.losses >= MOST_LOSSES:
            self._give_up(job, f"{job.losses} workers ended over it; the last: {event.reason}")
        elif job.survey is not None and isinstance(given.task, RunTask):
            # It may have finished more than was heard of.
            done = self._ledger.segments(job.recording)
            left = [number for number in given.left if number not in done]
            job.missing = sorted([*job.missing, *left])
        elif isinstance(given.task, JoinTask):
            outcome = self._ledger.outcome(job.recording)
            if outcome is not None and outcome.key == self._archive.key(job.recording):
                # Joined, and lost before it could say so.
                self._end(job)
                self._report.translated(outcome)

    def _look_at_ledger(self, job: _Job) -> None:
        assert job.survey is not None
        done = self._ledger.segments(job.recording)
        numbers = [one.number for one in job.survey.segments]
        job.missing = [number for number in numbers if number not in done]
        job.share = 1 - len(job.missing) / len(numbers)
        self._report.resumed += len(done)

    def _give_up(self, job: _Job, reason: str) -> None:
        self._end(job)
        job.missing = []
        self._report.failed(job.recording, reason)
        logger.error("%s", reason)

    def _end(self, job: _Job) -> None:
        job.ended = True
        self._bytes_done += job.recording.size
        with contextlib.suppress(ValueError):
            self._open.remove(job)
