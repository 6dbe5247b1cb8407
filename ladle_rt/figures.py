"""The live figures of a stream, as they travel from the pipeline to screens, pages and files."""

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
class LiveFigures:
    """A snapshot of a running stream: ``captured = presented + sum(dropped) + in_flight``."""

    state: State
    uptime_s: float
    """Seconds since the run began."""
    source: str
    """For people, without credentials."""
    engine: str
    """The translator's name."""
    network_size: tuple[int, int]
    """Height and width of the box the network works in now."""
    captured: int
    """Frames that the source delivered, and those that its driver dropped before."""
    presented: int
    """Pictures that the sinks took; `skipped` says what became of some."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Frames given up, by reason."""
    in_flight: int = 0
    """Frames between capture and sinks."""
    held: int = 0
    """Presented frames that showed an earlier picture again (shutter, unchanged)."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Presented pictures that an output took and let go for a slow or absent peer, by output."""
    reconnects: int = 0
    """How often the source came back."""
    problem: str | None = None
    """What is wrong now, one line."""
    fps_captured: float = 0.0
    """Over the last seconds."""
    fps_presented: float = 0.0
    """Over the last seconds."""
    latency_ms: Percentiles = field(default_factory=Percentiles)
    """Capture to presented, over the whole run."""
    recent_latency_ms: Percentiles = field(default_factory=Percentiles)
    """Capture to presented, over the last seconds."""
    stages_ms: Mapping[str, Percentiles] = field(default_factory=dict)
    """Over the whole run, by stage: ``queue``, ``translate``, ``wait``, ``present``."""
    queues: Mapping[str, int] = field(default_factory=dict)
    """Frames waiting now, by queue: ``inbox``, ``outbox``."""
    load: Mapping[str, Any] = field(default_factory=dict)
    """CPU, memory, GPU and temperatures; see `ladle_rt.pipeline.load`."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, the fields by name."""
        return asdict(self)
