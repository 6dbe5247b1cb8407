"""What is done, one small file for each thing, beside the targets.

    .ladle-rt/cuts/<key>/survey.json        where the recording is cut
    .ladle-rt/cuts/<key>/00012.nut          a segment, then
    .ladle-rt/cuts/<key>/00012.json         its record: from here on it counts
    .ladle-rt/done/<name>.json              what became of a recording

Files and no database, because a target may be an object store, where no database can live, and
many nodes write at once, where none could be shared; so the workers record what they finished
themselves, and nothing is lost with the driver. A thing is written after what it speaks of.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ladle_rt.archive.archive_storage import open_store
from ladle_rt.archive.plan import Archive, Recording
from ladle_rt.archive.store import Store
from ladle_rt.archive.survey import Survey
from ladle_rt.documents import parse_json
from ladle_rt.errors import InputError, LadleError
from ladle_rt.structure import structure

HIDDEN = ".ladle-rt"


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment that is finished."""

    number: int
    """See `Segment.number`."""
    frames: int
    """Written; without any there is no file."""
    size: int
    """Bytes."""
    seconds: float
    """That it took, by the worker's own clock."""
    worker: str
    """Machine and process."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a recording."""

    key: str
    """See `Archive.key`."""
    source: str
    """Where the recording is, without credentials."""
    target: str
    """Name of the video within the target."""
    frames: int
    """In the video."""
    size: int
    """Of the video, bytes."""
    segments: int
    """It was made from."""
    seconds: float
    """Of work, of all workers together."""
    damage: str = ""
    """What was wrong with the recording; empty: nothing."""


class Ledger:
    """Reads and writes the records of one archive."""

    def __init__(self, archive: Archive) -> None:
        self.store: Store = open_store(archive.target)
        """The target."""
        self._archive = archive

    def folder(self, recording: Recording) -> str:
        """Where the segments of a recording are, within the target."""
        key = f"{self._archive.key(recording)} {self._archive.segment_s:g}"
        return f"{HIDDEN}/cuts/{hashlib.sha256(key.encode()).hexdigest()[:32]}"

    def survey(self, recording: Recording) -> Survey | None:
        """What an earlier run found; ``None``: nothing yet.

        Raises:
            InputError: the ledger cannot be read.
        """
        values = self._load(f"{self.folder(recording)}/survey.json")
        return None if values is None else _structured(Survey, values)

    def keep_survey(self, recording: Recording, survey: Survey) -> None:
        """Record it.

        Raises:
            OutputError: it cannot be written.
        """
        self._save(f"{self.folder(recording)}/survey.json", survey)

    def segments(self, recording: Recording) -> dict[int, SegmentRecord]:
        """Those that are finished, by number.

        Raises:
            InputError: the ledger cannot be read.
        """
        folder = self.folder(recording)
        names = [n for n in self.store.names(folder) if n[:-5].isdecimal() and n.endswith(".json")]
        records = [self._load(f"{folder}/{name}") for name in names]
        found = [_structured(SegmentRecord, one) for one in records if one is not None]
        return {one.number: one for one in found}

    def keep_segment(self, recording: Recording, record: SegmentRecord) -> None:
        """Record a segment whose file is in place.

        Raises:
            OutputError: it cannot be written.
        """
        self._save(f"{self.folder(recording)}/{record.number:05d}.json", record)

    def segment_file(self, recording: Recording, number: int) -> str:
        """Name of a segment's file within the target."""
        return f"{self.folder(recording)}/{number:05d}.nut"

    def damage(self, recording: Recording) -> str:
        """What workers found wrong with a recording so far; empty: nothing.

        Raises:
            InputError: the ledger cannot be read.
        """
        values = self._load(f"{self.folder(recording)}/damage.json")
        return "" if values is None else str(values["damage"])

    def keep_damage(self, recording: Recording, damage: str) -> None:
        """Record what is wrong with a recording.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps({"damage": damage})
        self.store.write(f"{self.folder(recording)}/damage.json", text.encode())

    def outcome(self, recording: Recording) -> Outcome | None:
        """What became of a recording in an earlier run; ``None``: its video was not finished.

        Raises:
            InputError: the ledger cannot be read.
        """
        values = self._load(_done(recording))
        return None if values is None else _structured(Outcome, values)

    def keep_outcome(self, recording: Recording, outcome: Outcome) -> None:
        """Record that the video is in place, then let the segments go.

        Raises:
            OutputError: it cannot be written.
        """
        self._save(_done(recording), outcome)
        self.store.remove(self.folder(recording))

    def tidy(self, recordings: Iterable[Recording]) -> None:
        """Remove segments of finished videos, which a kill at the last moment leaves.

        Raises:
            LadleError: the target does not answer.
        """
        left = {f"{HIDDEN}/cuts/{name}" for name in self.store.names(f"{HIDDEN}/cuts")}
        for recording in recordings:
            folder = self.folder(recording)
            if folder in left:
                outcome = self.outcome(recording)
                if outcome is not None and outcome.key == self._archive.key(recording):
                    self.store.remove(folder)

    def _load(self, name: str) -> dict[str, Any] | None:
        if self.store.find(name) is None:
            return None
        try:
            values: dict[str, Any] = parse_json(self.store.read(name).decode())
        except LadleError:
            raise
        except ValueError as error:
            raise InputError(
                f"{self.store.root}/{name}: expected a record of this program, received {error}; "
                "remove the file"
            ) from error
        return values

    def _save(self, name: str, record: Any) -> None:
        text = json.dumps(dataclasses.asdict(record))
        self.store.write(name, text.encode())


def _done(recording: Recording) -> str:
    # One folder for all: an archive's own folders may be deeper than names may be long.
    return f"{HIDDEN}/done/{hashlib.sha256(recording.target.encode()).hexdigest()[:32]}.json"


def _structured(kind: Any, values: dict[str, Any]) -> Any:
    return structure(kind, values, "the archive's ledger", InputError)
