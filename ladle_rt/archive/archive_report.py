"""What became of every recording."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from ladle_rt import __version__
from ladle_rt.addresses import masked
from ladle_rt.archive.ledger import Outcome, SegmentRecord
from ladle_rt.archive.plan import Archive, Recording


@dataclass(slots=True)
class Report:
    """Counts and outcomes of one run; filled by the driver."""

    archive: Archive
    """What was to be done."""
    workers: int
    """At a time."""
    outcomes: list[Outcome] = field(default_factory=list)
    """Of recordings that were translated in this run."""
    before: list[Outcome] = field(default_factory=list)
    """Of those that an earlier run had translated: skipped."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why, by recording, without credentials."""
    losses: list[str] = field(default_factory=list)
    """Workers that ended before their task."""
    resumed: int = 0
    """Segments that an earlier run had finished, of recordings that it had not."""
    by_worker: Counter[str] = field(default_factory=Counter)
    """Segments, by machine and process."""
    stopped: bool = False
    """It was asked to stop before the end."""
    begun_s: float = field(default_factory=time.monotonic)

    def translated(self, outcome: Outcome) -> None:
        """A video is in place."""
        self.outcomes.append(outcome)

    def skipped(self, outcome: Outcome) -> None:
        """A video had been made from the same recording, model and options before."""
        self.before.append(outcome)

    def failed(self, recording: Recording, reason: str) -> None:
        """A recording has no video."""
        self.failures[masked(recording.url)] = reason

    def lost(self, reason: str) -> None:
        """A worker ended before its task."""
        self.losses.append(reason)

    def segment(self, record: SegmentRecord) -> None:
        """A segment was finished in this run."""
        self.by_worker[record.worker] += 1

    @property
    def damaged(self) -> list[Outcome]:
        """Videos of recordings that are damaged: they hold what could be read."""
        return [one for one in (*self.outcomes, *self.before) if one.damage]

    @property
    def complete(self) -> bool:
        """Every recording has its whole video."""
        return not (self.failures or self.damaged or self.stopped)

    def to_json(self) -> str:
        """All of it."""
        values: dict[str, Any] = {
            "version": __version__,
            "target": masked(self.archive.target),
            "model_sha256": self.archive.model_sha256,
            "workers": self.workers,
            "elapsed_s": round(time.monotonic() - self.begun_s, 3),
            "stopped": self.stopped,
            "translated": [asdict(one) for one in sorted(self.outcomes, key=_target)],
            "skipped": sorted(map(_target, self.before)),
            "failed": self.failures,
            "damaged": {one.target: one.damage for one in self.damaged},
            "workers_lost": self.losses,
            "segments_resumed": self.resumed,
            "segments_by_worker": dict(self.by_worker),
        }
        return json.dumps(values, indent=2) + "\n"

    def to_text(self) -> str:
        """A few lines for people."""
        elapsed_s = time.monotonic() - self.begun_s
        frames = sum(one.frames for one in self.outcomes)
        lines = [
            f"{masked(self.archive.target)}: {len(self.outcomes)} translated, "
            f"{len(self.before)} there already, {len(self.failures)} failed, "
            f"{frames} frames in {elapsed_s:.1f} s on {self.workers} workers"
        ]
        if self.resumed:
            lines.append(f"{self.resumed} segments were there from an earlier run")
        if self.losses:
            lines.append(f"{len(self.losses)} workers were lost; their work was done again")
        lines += [f"damaged: {one.target}: {one.damage}" for one in self.damaged]
        lines += [f"failed: {url}: {reason}" for url, reason in self.failures.items()]
        return "\n".join(lines)


def _target(outcome: Outcome) -> str:
    return outcome.target
