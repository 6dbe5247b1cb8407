"""Where every captured frame went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ladle_rt.figures import Percentiles


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """Counts of one run: ``captured = presented + sum(dropped) + in_flight``."""

    captured: int
    """Frames that the source delivered, and those that its driver dropped before."""
    presented: int
    """Pictures that the sink took; `skipped` says what became of some."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Frames given up on purpose, by reason."""
    in_flight: int = 0
    """Frames between capture and sink; 0 after a run that ended well."""
    held: int = 0
    """Presented frames that showed an earlier picture again."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Presented pictures that an output took and let go for a slow or absent peer, by output."""
    elapsed_s: float = 0.0
    """Wall-clock seconds since the run began."""
    first_picture_s: float | None = None
    """Seconds until the sink had taken its first picture."""
    latency_ms: Percentiles = field(default_factory=Percentiles)
    """Capture to presented."""
    stopped: bool = False
    """Ended by the stop event before the source was exhausted."""

    @property
    def frames_per_second(self) -> float:
        """Pictures presented per second of wall-clock time."""
        return self.presented / self.elapsed_s if self.elapsed_s > 0 else 0.0
