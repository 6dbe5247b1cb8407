"""Worker threads that several translators share, each getting the same time.

    camera A ──► lane A ─┐
    camera B ──► lane B ─┼─► the lane that has used least ──► a free worker
    camera C ──► lane C ─┘

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time fair queuing", SIGCOMM 1996) with measured
costs: a lane is charged the seconds that its work took, and whoever was charged least is next. A
lane that was idle begins at the common time, so that silence earns no burst.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

CLOSE_LIMIT_S = 10.0
"""Longest wait for a worker's last piece; it is a daemon, so one that hangs holds up nothing."""
T = TypeVar("T")
_Call = tuple["Future[Any]", Callable[[], Any]]


class Lane:
    """One user's queue; has what `CpuTranslator` needs of an executor."""

    def __init__(self, pool: FairPool) -> None:
        self._pool = pool
        self.waiting: deque[_Call] = deque()
        self.running = 0
        self.used_s = 0.0
        """Seconds of work charged, on the pool's common clock."""
        self.expected_s = 0.0
        """What the next piece will take, by the last one."""
        self.closed = False

    @property
    def share(self) -> int:
        """Pieces of work at a time that are this lane's part of the pool, at least 1."""
        return self._pool.share

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Enqueue a call.

        Raises:
            RuntimeError: the lane or the pool is closed, as executors say it.
        """
        return self._pool.enqueue(self, lambda: function(*arguments))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; the pool and its other lanes go on.

        Args:
            wait: return when what runs has ended, and what waits too unless it is cancelled.
            cancel_futures: drop what waits.
        """
        self._pool.leave(self, wait, cancel_futures)


class FairPool:
    """The threads; `lane` makes one queue for each user."""

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            workers: threads, one piece of work each; 0: `turn` is called from outside.
            clock: what lanes are charged by, seconds.
        """
        self.workers = workers
        self._clock = clock
        self._changed = threading.Condition()
        self._lanes: list[Lane] = []
        self._clock_s = 0.0
        """Where the lane served last began: where idle lanes begin again."""
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"translate_{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def share(self) -> int:
        """Workers for each lane, at least 1."""
        return max(1, self.workers // max(1, len(self._lanes)))

    def lane(self) -> Lane:
        """A new queue; its user closes it."""
        lane = Lane(self)
        with self._changed:
            self._lanes.append(lane)
        return lane

    def close(self) -> None:
        """Drop what waits, let the workers finish their piece, end them."""
        with self._changed:
            self._closed = True
            dropped = [call for lane in self._lanes for call in lane.waiting]
            for lane in self._lanes:
                lane.waiting.clear()
            self._changed.notify_all()
        for future, _ in dropped:
            future.cancel()
        for thread in self._threads:
            thread.join(CLOSE_LIMIT_S)

    def enqueue(self, lane: Lane, call: Callable[[], T]) -> Future[T]:
        """See `Lane.submit`."""
        future: Future[T] = Future()
        with self._changed:
            if lane.closed or self._closed:
                raise RuntimeError("cannot schedule new work after shutdown")
            if not lane.waiting and not lane.running:
                lane.used_s = max(lane.used_s, self._clock_s)
            lane.waiting.append((future, call))
            self._changed.notify()
        return future

    def leave(self, lane: Lane, wait: bool, cancel: bool) -> None:
        """See `Lane.shutdown`."""
        with self._changed:
            lane.closed = True
            dropped = list(lane.waiting) if cancel else []
            if cancel:
                lane.waiting.clear()
            if wait:
                self._changed.wait_for(lambda: not lane.running and not lane.waiting)
            if lane in self._lanes:
                self._lanes.remove(lane)
        for future, _ in dropped:
            future.cancel()

    def turn(self) -> bool:
        """Do the piece of work whose turn it is; ``False``: nothing waits."""
        with self._changed:
            waiting = [lane for lane in self._lanes if lane.waiting]
            if not waiting:
                return False
            lane = min(waiting, key=lambda one: one.used_s)
            future, call = lane.waiting.popleft()
            self._clock_s = max(self._clock_s, lane.used_s)
            charged_s = lane.expected_s
            # Charged before it is done, or several workers would all serve one lane.
            lane.used_s += charged_s
            lane.running += 1
        began_s = self._clock()
        _run(future, call)
        took_s = self._clock() - began_s
        with self._changed:
            lane.running -= 1
            lane.used_s += took_s - charged_s
            lane.expected_s = took_s
            self._changed.notify_all()
        return True

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or any(x.waiting for x in self._lanes))
                if self._closed:
                    return
            # Another worker may have been faster; then it waits again.
            self.turn()


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
