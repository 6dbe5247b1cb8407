"""How fast a run is, and how much of its time it waits for data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TypeVar

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Throughput:
    """Speed over some steps; validation and files do not count."""

    samples_per_s: float
    """Over all processes."""
    steps_per_s: float
    data_wait: float
    """Share of the time spent waiting for the data loader, 0 to 1."""

    def columns(self) -> dict[str, float]:
        """The figures under their names in the run's log."""
        return asdict(self)


class Meter:
    """Times the steps of a run.

    A step waits for the device before it returns, so what remains is waiting for data.

    Args:
        processes: that share each batch.
    """

    def __init__(self, processes: int = 1) -> None:
        self._processes = processes
        self._recent = [0.0, 0.0, 0.0, 0.0]
        self._whole = [0.0, 0.0, 0.0, 0.0]

    def waiting(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on and time the wait for each but the first, which starts the workers."""
        first = True
        while True:
            start = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            if not first:
                self._add(0, time.perf_counter() - start)
            first = False
            yield batch

    @contextmanager
    def step(self, samples: int) -> Iterator[None]:
        """Time a step of so many samples in this process."""
        start = time.perf_counter()
        yield
        self._add(1, time.perf_counter() - start)
        self._add(2, samples * self._processes)
        self._add(3, 1)

    def read(self) -> Throughput:
        """Since the last reading."""
        recent, self._recent = self._recent, [0.0, 0.0, 0.0, 0.0]
        return _throughput(*recent)

    @property
    def overall(self) -> Throughput:
        """Since the start or resumption of the run."""
        return _throughput(*self._whole)

    def _add(self, place: int, value: float) -> None:
        self._recent[place] += value
        self._whole[place] += value


def _throughput(wait_s: float, busy_s: float, samples: float, steps: float) -> Throughput:
    total_s = max(wait_s + busy_s, 1e-9)
    return Throughput(samples / total_s, steps / total_s, wait_s / total_s)
