"""Workers as processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import psutil

from ladle_rt.archive.shipped_model import ShippedModel
from ladle_rt.archive.tasks import Ends, Event, Lost, Task
from ladle_rt.archive.work import work
from ladle_rt.device import usable_cores

MEMORY_MB = 1500
"""What one worker may need: decoder, network, encoder, and the frames between them."""
END_S = 5.0


class Workers(Protocol):
    """Does tasks, several at a time; used from one thread."""

    @property
    def count(self) -> int:
        """How many tasks it does at a time."""

    @property
    def threads(self) -> int:
        """Frames that each should translate at a time."""

    def has_room(self) -> bool:
        """Whether it takes one more task now."""

    def submit(self, ticket: int, task: Task) -> None:
        """Begin a task; its events come with the ticket."""

    def poll(self, timeout_s: float) -> Sequence[tuple[int, Event]]:
        """What has happened since the last time; waits for the first event."""

    def close(self) -> None:
        """End everything; what is unfinished is dropped."""


def local_workers(wanted: int | None, threads: int | None) -> tuple[int, int]:
    """How many workers this machine bears, and frames that each translates at a time.

    Args:
        wanted: workers asked for; ``None``: one for two cores, as far as memory goes.
        threads: per worker, asked for; ``None``: the cores shared out evenly.
    """
    cores = usable_cores()
    bears = int(psutil.virtual_memory().available / 2**20 / MEMORY_MB)
    count = wanted or max(1, min(cores // (threads or 2), bears))
    return count, threads or max(1, cores // count)


class LocalWorkers:
    """A process for each worker, kept from task to task and replaced when it dies.

    A process ends by itself when this one does, however that happened.
    """

    def __init__(self, count: int, threads: int, model: ShippedModel) -> None:
        """
        Args:
            count: processes.
            threads: see `Workers.threads`.
            model: for all tasks.
        """
        self.count, self.threads = count, threads
        self._model = model
        # Not forked: threads and locks of this process must not be copied.
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[tuple[Any, Connection]] = []
        self._busy: dict[Connection, tuple[Any, int]] = {}

    def has_room(self) -> bool:
        """A worker is free, and so is memory for it; the first always begins."""
        if len(self._busy) >= self.count:
            return False
        free_mb = psutil.virtual_memory().available / 2**20
        return not self._busy or bool(self._idle) or free_mb >= MEMORY_MB

    def submit(self, ticket: int, task: Task) -> None:
        """See `Workers.submit`."""
        process, connection = self._idle.pop() if self._idle else self._start()
        self._busy[connection] = (process, ticket)
        # One that has died meanwhile is found by `poll`.
        with contextlib.suppress(OSError):
            connection.send(task)

    def poll(self, timeout_s: float) -> Sequence[tuple[int, Event]]:
        """See `Workers.poll`."""
        events: list[tuple[int, Event]] = []
        for ready in wait(list(self._busy), timeout_s):
            assert isinstance(ready, Connection)
            process, ticket = self._busy[ready]
            try:
                event: Event = ready.recv()
            except (EOFError, OSError):
                process.join(END_S)
                event = Lost(f"worker {process.pid} ended with code {process.exitcode}")
                ready.close()
            if isinstance(event, Ends):
                del self._busy[ready]
                if not isinstance(event, Lost):
                    self._idle.append((process, ready))
            events.append((ticket, event))
        return events

    def close(self) -> None:
        """See `Workers.close`."""
        for _, connection in self._idle:
            # It ends by itself, and takes its copy of the model along.
            connection.close()
        for connection, (process, _) in self._busy.items():
            connection.close()
            process.terminate()
        everyone = [process for process, _ in (*self._idle, *self._busy.values())]
        self._idle, self._busy = [], {}
        for process in everyone:
            process.join(END_S)
            if process.is_alive():
                process.kill()
                process.join(END_S)

    def _start(self) -> tuple[Any, Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._model), name="archive", daemon=True
        )
        process.start()
        # Or its end would not be noticed.
        theirs.close()
        return process, ours


def _serve(connection: Connection, model: ShippedModel) -> None:
    # Ctrl-C is the driver's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            for event in work(connection.recv(), model):
                connection.send(event)


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver is not None
    wait([driver.sentinel])
    os._exit(1)
