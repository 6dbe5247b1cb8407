"""What the driver and its workers say to each other; all of it can be pickled."""

from __future__ import annotations

from dataclasses import dataclass

from ladle_rt.archive.ledger import Outcome, SegmentRecord
from ladle_rt.archive.plan import Archive, Recording
from ladle_rt.archive.survey import Survey


@dataclass(frozen=True, slots=True)
class SurveyTask:
    """Find out where a recording can be cut."""

    archive: Archive
    recording: Recording


@dataclass(frozen=True, slots=True)
class RunTask:
    """Translate segments that follow each other, in one go."""

    archive: Archive
    recording: Recording
    survey: Survey
    first: int
    """Number of the first segment."""
    last: int
    """Number of the last one."""
    threads: int
    """Frames translated at a time."""


@dataclass(frozen=True, slots=True)
class JoinTask:
    """Make the video of a recording whose segments are all finished."""

    archive: Archive
    recording: Recording
    survey: Survey


Task = SurveyTask | RunTask | JoinTask


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A recording was surveyed."""

    survey: Survey


@dataclass(frozen=True, slots=True)
class Progress:
    """A run goes on."""

    frames: int
    """Translated since the last time it said so."""


@dataclass(frozen=True, slots=True)
class SegmentDone:
    """A segment is in the ledger."""

    record: SegmentRecord


@dataclass(frozen=True, slots=True)
class Joined:
    """A video is in place, and in the ledger."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Failed:
    """The recording cannot be translated, or not by this worker."""

    reason: str
    """One line."""
    writing: bool = False
    """It failed at the target."""
    everywhere: bool = False
    """No recording can be: another version, no engine."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker is gone, with its node perhaps."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The task is done; nothing more comes of it."""


Event = Surveyed | Progress | SegmentDone | Joined | Failed | Lost | Finished
Ends = (Finished, Failed, Lost)
"""The last event of each task is one of these."""
