"""Times of a translator, one frame at a time and as many as it takes."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.translate.base import Translator
from ladle_rt.translate.network import Array, Network, Runner

COLLECT_TIMEOUT_S = 60.0


class TimedNetwork:
    """A network whose runs are timed; the translator around it is the one that users run."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.times_ms: deque[float] = deque()
        """One for each run so far, in the order in which they ended; clear it at will."""

    @property
    def name(self) -> str:
        """Of the network itself."""
        return self._network.name

    def runner(self) -> Runner:
        """See `Network.runner`."""
        run = self._network.runner()

        def timed(thermal: Array) -> Array:
            begin_s = time.perf_counter()
            output = run(thermal)
            self.times_ms.append((time.perf_counter() - begin_s) * 1e3)
            return output

        return timed


@dataclass(frozen=True, slots=True)
class LatencyLimits:
    """How long one measurement goes on: until the first of both, but `LEAST_FRAMES` at least."""

    seconds: float
    frames: int


LEAST_FRAMES = 10


def idle_latency(
    translator: Translator,
    network: TimedNetwork | None,
    frames: Sequence[Frame],
    limits: LatencyLimits,
) -> dict[str, list[float]]:
    """One frame at a time, milliseconds of each frame by stage.

    Args:
        translator: of ``network``.
        network: timed; ``None`` where it runs on a GPU, which nobody waits for inside.
        frames: repeated as often as it takes.
        limits: when to stop.

    Returns:
        ``total``: submit to picture; ``prepare``: what `submit` itself does, on the CPU scaling
        and levels; ``network``; ``picture``: the rest, normalising before and painting after the
        network. Without a network to time, ``device`` instead of the last two.
    """
    inner = ("device",) if network is None else ("network", "picture")
    times: dict[str, list[float]] = {name: [] for name in ("total", "prepare", *inner)}
    translate_all(translator, list(itertools.islice(repeat(frames), 2 * translator.depth)))
    for frame in _limited(frames, limits):
        if network is not None:
            network.times_ms.clear()
        begin_s = time.perf_counter()
        translator.submit(frame)
        submitted_s = time.perf_counter()
        translator.collect(COLLECT_TIMEOUT_S)
        total = (time.perf_counter() - begin_s) * 1e3
        prepare = (submitted_s - begin_s) * 1e3
        rest: tuple[float, ...] = (total - prepare,)
        if network is not None:
            inside = network.times_ms[-1]
            rest = inside, total - prepare - inside
        stages = (total, prepare, *rest)
        for values, value in zip(times.values(), stages, strict=True):
            values.append(value)
    return times


@dataclass(frozen=True, slots=True)
class Saturated:
    """A translator that always has as many frames as it takes."""

    latency_ms: list[float]
    """Submit to picture, of each frame; waiting for a free worker counts."""
    fps: float
    cpu_ms: float
    """CPU time of the whole process for each frame."""


def saturated(translator: Translator, frames: Sequence[Frame], limits: LatencyLimits) -> Saturated:
    """Keep a translator full.

    Args:
        translator: filled up to its depth before the clock starts.
        frames: repeated as often as it takes.
        limits: when to stop.
    """
    submitted_s: deque[float] = deque()
    latencies: list[float] = []
    source = repeat(frames)

    def submit() -> None:
        submitted_s.append(time.perf_counter())
        translator.submit(next(source))

    def collect() -> float:
        translator.collect(COLLECT_TIMEOUT_S)
        return (time.perf_counter() - submitted_s.popleft()) * 1e3

    for _ in range(translator.depth):
        submit()
    for _ in range(translator.depth):
        collect()
        submit()
    begin_s, cpu_s = time.perf_counter(), time.process_time()
    for _ in _limited(frames, limits):
        latencies.append(collect())
        submit()
    elapsed_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - cpu_s
    while submitted_s:
        collect()
    count = len(latencies)
    return Saturated(latencies, count / elapsed_s, cpu_s / count * 1e3)


def repeat(frames: Sequence[Frame]) -> Iterator[Frame]:
    """The frames over and over, as one video: numbers and times go on."""
    span_ns = frames[-1].timestamp_ns - frames[0].timestamp_ns + 33_333_333
    for number in itertools.count():
        lap, index = divmod(number, len(frames))
        at_ns = frames[index].timestamp_ns + lap * span_ns
        yield replace(frames[index], sequence=number, timestamp_ns=at_ns, pts=None, time_base=None)


def _limited(frames: Sequence[Frame], limits: LatencyLimits) -> Iterator[Frame]:
    begin_s = time.perf_counter()
    for count, frame in enumerate(repeat(frames)):
        if count >= LEAST_FRAMES and (
            count >= limits.frames or time.perf_counter() - begin_s >= limits.seconds
        ):
            return
        yield frame


def translate_all(translator: Translator, frames: Sequence[Frame]) -> list[TranslatedFrame]:
    """Every frame through a translator, as many in flight as it takes."""
    results = []
    flying = 0
    for frame in frames:
        while flying >= translator.depth:
            results.append(translator.collect(COLLECT_TIMEOUT_S))
            flying -= 1
        translator.submit(frame)
        flying += 1
    return results + [translator.collect(COLLECT_TIMEOUT_S) for _ in range(flying)]
