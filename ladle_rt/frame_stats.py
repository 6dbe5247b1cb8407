"""Where the frames of a run went and how long they took, from the pipeline to screens and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["starting", "running", "lost", "ended"]
"""``lost``: the source is away and is being reopened."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a time in milliseconds; all 0 where nothing was measured."""

    p50: float = 0.0
    p90: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True, slots=True)
class FrameStats:
    """A snapshot of one run: ``captured = presented + sum(dropped) + in_flight``.

    What only a stream has (from `state` on) keeps its default in a run over a file.
    """

    captured: int
    """Frames that the source delivered, and those that its driver dropped before."""
    presented: int
    """Pictures that the sinks took; `skipped` says what became of some."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Frames given up on purpose, by reason."""
    in_flight: int = 0
    """Frames between capture and sinks; 0 after a run that ended well."""
    held: int = 0
    """Presented frames that showed an earlier picture again (shutter, unchanged)."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Presented pictures that an output took and let go for a slow or absent peer, by output."""
    elapsed_s: float = 0.0
    """Wall-clock seconds since the run began."""
    first_picture_s: float | None = None
    """Seconds until the sinks had taken their first picture."""
    latency_ms: Percentiles = field(default_factory=Percentiles)
    """Capture to presented, over the whole run."""
    stopped: bool = False
    """Ended on request before the source was exhausted."""
    state: State = "running"
    source: str = ""
    """For people, without credentials."""
    engine: str = ""
    """The translator's name."""
    network_size: tuple[int, int] = (0, 0)
    """Height and width of the box the network works in now."""
    reconnects: int = 0
    """How often the source came back."""
    problem: str | None = None
    """What is wrong now, one line."""
    fps_captured: float = 0.0
    """Over the last seconds."""
    fps_presented: float = 0.0
    """Over the last seconds."""
    recent_latency_ms: Percentiles = field(default_factory=Percentiles)
    """Capture to presented, over the last seconds."""
    stages_ms: Mapping[str, Percentiles] = field(default_factory=dict)
    """Over the whole run, by stage: ``queue``, ``translate``, ``wait``, ``present``."""
    queues: Mapping[str, int] = field(default_factory=dict)
    """Frames waiting now, by queue: ``inbox``, ``outbox``."""
    load: Mapping[str, Any] = field(default_factory=dict)
    """CPU, memory, GPU and temperatures; see `ladle_rt.pipeline.machine_load`."""

    @property
    def frames_per_second(self) -> float:
        """Pictures presented per second of wall-clock time."""
        return self.presented / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, the fields by name."""
        return asdict(self)
