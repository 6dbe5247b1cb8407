"""What a segment costs those who are not workers: driver, object store, storage; see
`archive_scale`."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from archive_killed import ladle

from ladle_rt.archive.archive_driver import translate_archive
from ladle_rt.archive.archive_report import Report
from ladle_rt.archive.folder_store import FolderStore
from ladle_rt.archive.ledger import SegmentRecord
from ladle_rt.archive.plan import Archive, find_recordings
from ladle_rt.archive.ray_workers import RayWorkers
from ladle_rt.archive.shipped_model import ShippedModel, pack
from ladle_rt.archive.tasks import Event, Finished, Progress, SegmentDone, Task
from ladle_rt.archive.work import work
from ladle_rt.config import TranslateOptions
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact

EVENTS = 2000
"""Of each of two tasks."""


def time_driver(address: str, events: int = EVENTS) -> dict[str, float]:
    """CPU and wall time of this process for each event that comes through Ray, and its bytes."""
    from ray import cloudpickle

    def chatter() -> Callable[..., Iterable[Event]]:
        # A function within a function travels with its code.
        def chat(task: Task, model: ShippedModel) -> Iterator[Event]:
            for _ in range(events):
                yield Progress(1)
            yield Finished()

        return chat

    model = pack(load_artifact(DEFAULT_MODEL))
    with contextlib.closing(RayWorkers(address, model, 2, 1, memory_mb=500)) as workers:
        options = {"num_cpus": 1, "max_retries": 0, "num_returns": "streaming"}
        workers._remote = workers._ray.remote(**options)(chatter())
        # Processes are started by the first.
        hear(workers, 2)
        cpu_before_s, begun_s = time.process_time(), time.monotonic()
        heard = hear(workers, 2)
        cpu_of_all_s, took_s = time.process_time() - cpu_before_s, time.monotonic() - begun_s
    done = SegmentDone(SegmentRecord(1, 1800, 10**7, 60.0, "node:12345"))
    return {
        "events": heard,
        "cpu_ms_per_event": round(1000 * cpu_of_all_s / heard, 4),
        "events_per_s": round(heard / took_s, 1),
        "event_bytes": max(len(cloudpickle.dumps(one)) for one in (Progress(150), done)),
        "model_bytes": sum(map(len, model.files.values())),
    }


def hear(workers: Any, tasks: int) -> int:
    heard = 0
    for ticket in range(tasks):
        workers.submit(ticket, None)
    while workers._running:
        heard += len(workers.poll(0.2))
    return heard


class Inline:
    """`Workers` within this process, where requests can be counted."""

    count = threads = 1

    def __init__(self, model: ShippedModel) -> None:
        self._model = model
        self._given: list[tuple[int, Task]] = []

    def has_room(self) -> bool:
        return not self._given

    def submit(self, ticket: int, task: Task) -> None:
        self._given.append((ticket, task))

    def poll(self, timeout_s: float) -> list[tuple[int, Event]]:
        ticket, task = self._given.pop()
        return [(ticket, event) for event in work(task, self._model)]

    def close(self) -> None:
        self._given.clear()


def count_requests(folder: Path) -> dict[str, dict[str, float]]:
    """Calls of the store for each segment and for each recording besides, by what they ask."""
    counts = {seconds: requests_of(folder, seconds) for seconds in (8, 16)}
    # Segments of two seconds: four, and four more.
    asked = sorted(counts[16])
    each = {name: (counts[16][name] - counts[8][name]) / 4 for name in asked}
    besides = {name: counts[8][name] - 4 * each[name] for name in asked}
    return {"per_segment": each, "per_recording": besides}


def requests_of(folder: Path, seconds: int) -> Counter[str]:
    place = folder / str(seconds)
    place.mkdir(parents=True)
    ladle(place, "sample", "a.mp4", "--seconds", str(seconds), "--size", "96x64")
    counts: Counter[str] = Counter()
    names = ("find", "names", "read", "fetch", "put", "write", "remove")
    real = {name: getattr(FolderStore, name) for name in names}

    def counted(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            counts[name] += 1
            return real[name](*arguments)

        return call

    model = pack(load_artifact(DEFAULT_MODEL))
    options = TranslateOptions(size=(64, 96), threads=1)
    archive = Archive(str(place / "out"), model.sha256, options, segment_s=2)
    recordings, _ = find_recordings((str(place / "a.mp4"),), archive.target, "mp4")
    try:
        for name in names:
            setattr(FolderStore, name, counted(name))
        translate_archive(archive, recordings, Inline(model), Report(archive, 1))
    finally:
        for name in names:
            setattr(FolderStore, name, real[name])
    return counts
