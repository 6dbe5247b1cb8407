"""What the scripts share: recorded results, spreads over runs, a paced source."""

from __future__ import annotations

import datetime
import json
import math
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from ladle_rt.benchmark.provenance import machine, versions
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.sources.base import SourceInfo

TICK = Fraction(1, 1_000_000)


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum of one figure over runs."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        return cls(min(values), statistics.median(values), max(values))

    def to_list(self) -> list[float]:
        """Minimum, median, maximum, four significant digits."""
        return [float(f"{v:.4g}") for v in (self.minimum, self.median, self.maximum)]


def write_result(
    path: Path, benchmark: str, settings: Mapping[str, Any], results: Mapping[str, Any]
) -> None:
    """Write one result as JSON (`schema.json` describes it)."""
    record = {
        "benchmark": benchmark,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "command": " ".join(["python", *(Path(sys.argv[0]).as_posix(), *sys.argv[1:])]),
        "machine": machine(),
        "versions": versions(),
        "settings": dict(settings),
        "results": dict(results),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PacedFrames:
    """A live `Source` that repeats a few frames at a rate; never slower than asked for."""

    def __init__(self, frames: Sequence[ThermalPixels], fps: float, count: int) -> None:
        """
        Args:
            frames: HxW each, repeated in turn.
            fps: frames per second; infinity delivers without waiting.
            count: how many are delivered.
        """
        height, width = frames[0].shape
        self._frames, self._fps, self._count = frames, fps, count
        rate = Fraction(30) if math.isinf(fps) else Fraction(fps).limit_denominator(1001)
        self.info = SourceInfo(width, height, TICK, rate, live=True, name="paced frames")

    def __iter__(self) -> Iterator[Frame]:
        begin_s = time.monotonic()
        for number in range(self._count):
            ahead_s = begin_s + number / self._fps - time.monotonic()
            if ahead_s > 0:
                time.sleep(ahead_s)
            pts = round(number / min(self._fps, 1e6) / TICK)
            pixels = self._frames[number % len(self._frames)]
            yield Frame(pixels, number, time.monotonic_ns(), pts, TICK)

    def close(self) -> None:
        """Nothing to release."""

    def __enter__(self) -> PacedFrames:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
