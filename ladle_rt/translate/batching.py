"""Frames of several translators through one network together, within a bound of time.

The first frame that comes waits for others of its size, a few milliseconds at most; then all go
through the network in one run. That pays where a run has a cost of its own: on a GPU or behind a
network connection. On a CPU, one frame per thread is faster.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from ladle_rt.errors import BackendError, ConfigError
from ladle_rt.translate.network import Array, Network, Runner

PROBE = (32, 32)
"""Size of the frames that show whether a network takes several."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How frames are gathered."""

    frames: int = 1
    """In one run of the network, at most; 1: every frame by itself."""
    wait_ms: float = 4.0
    """How long a frame may wait for others."""

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= 64:
            raise ConfigError(f"a batch must hold 1 to 64 frames, received {self.frames}")
        if not 0 <= self.wait_ms <= 1000:
            raise ConfigError(f"a batch may wait 0 to 1000 ms, received {self.wait_ms:g}")


T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Batch(Generic[T]):
    """What goes through the network in one run."""

    kind: Hashable
    """What its items have in common: the shape of the frames."""
    due_s: float
    """When it goes, full or not."""
    items: list[T] = field(default_factory=list)
    """In the order in which they came, at least one."""


class Gathering(Generic[T]):
    """Which items go together, and when: a state machine without threads or a clock of its own.

    A batch goes when it is full, or when its first item has waited long enough. So whoever stops
    sending holds up nobody, and of whoever sends, items stay in order.
    """

    def __init__(self, most: int, wait_s: float) -> None:
        """
        Args:
            most: items in a batch.
            wait_s: how long the first of a batch waits for others.
        """
        self._most, self._wait_s = most, wait_s
        self._open: dict[Hashable, Batch[T]] = {}

    def add(self, kind: Hashable, item: T, now_s: float) -> tuple[Batch[T], bool]:
        """Put an item into the batch of its kind.

        Returns:
            The batch, and whether it is full: then it goes, and is not open any more.
        """
        batch = self._open.get(kind)
        if batch is not None and batch.due_s <= now_s:
            # It is late already; who has to take it has not come to it yet.
            batch = None
        if batch is None:
            batch = self._open[kind] = Batch(kind, now_s + self._wait_s)
        batch.items.append(item)
        full = len(batch.items) == self._most
        if full:
            self.close(batch)
        return batch, full

    def close(self, batch: Batch[T]) -> None:
        """Let nothing more into a batch; closing it twice is harmless."""
        if self._open.get(batch.kind) is batch:
            del self._open[batch.kind]


class BatchingNetwork:
    """A `Network` over another one; each worker's frame joins the batch that is open.

    The worker that opens a batch runs it: there is no thread of its own, and nothing waits longer
    than ``wait_ms`` and the run.
    """

    def __init__(
        self,
        network: Network,
        batching: Batching,
        takes_batches: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            network: must take [N,1,H,W].
            batching: how frames are gathered.
            takes_batches: that is known; otherwise it is tried.
            clock: seconds.

        Raises:
            ConfigError: a network that takes one frame at a time.
        """
        self._network, self._batching, self._clock = network, batching, clock
        self._lock = threading.Lock()
        self._gathering: Gathering[_Waiting] = Gathering(batching.frames, batching.wait_ms / 1000)
        if not (takes_batches or _takes_two(network)):
            raise ConfigError(
                f"{network.name} runs this network with one frame at a time; "
                "set frames = 1 under [engine.batch]"
            )

    @property
    def name(self) -> str:
        """The engine and the size of its batches."""
        return f"{self._network.name}, batches up to {self._batching.frames}"

    def runner(self) -> Runner:
        """For one worker; see `Network.runner`."""
        inner = self._network.runner()

        def run(thermal: Array) -> Array:
            waiting = _Waiting(thermal)
            with self._lock:
                batch, full = self._gathering.add(thermal.shape, waiting, self._clock())
            leader = batch.items[0]
            if full:
                leader.goes.set()
            if waiting is leader:
                self._lead(batch, inner)
            return waiting.result.result()

        return run

    def _lead(self, batch: Batch[_Waiting], inner: Runner) -> None:
        goes = batch.items[0].goes
        while (left_s := batch.due_s - self._clock()) > 0 and not goes.wait(left_s):
            pass
        with self._lock:
            self._gathering.close(batch)
        try:
            # A copy, because the engine's own memory is valid until its next run only.
            output = np.array(inner(np.concatenate([one.frame for one in batch.items])))
        except BaseException as error:
            # Its traceback belongs to one frame; the others hear the same line.
            batch.items[0].result.set_exception(error)
            for one in batch.items[1:]:
                one.result.set_exception(BackendError(str(error)))
            return
        for number, one in enumerate(batch.items):
            one.result.set_result(output[number : number + 1])


def _takes_two(network: Network) -> bool:
    try:
        return len(network.runner()(np.zeros((2, 1, *PROBE), np.float32))) == 2
    except BackendError:
        return False


@dataclass(slots=True, eq=False)
class _Waiting:
    """A worker's frame."""

    frame: Array
    result: Future[Array] = field(default_factory=Future)
    goes: threading.Event = field(default_factory=threading.Event)
    """The batch that this frame has opened is full."""
