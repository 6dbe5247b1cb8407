"""Workers on a Ray cluster.

Recordings and segments go through the storage, not through Ray: its object store holds the model
and small events. A task asks for cores, memory and a share of a GPU, and Ray begins it where there
is room.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from ladle_rt.archive.ray_nodes import refuse_other_versions
from ladle_rt.archive.shipped_model import ShippedModel
from ladle_rt.archive.tasks import Ends, Event, Lost, Task
from ladle_rt.archive.work import work
from ladle_rt.archive.workers import MEMORY_MB
from ladle_rt.errors import BackendError, ConfigError, require

THREADS = 2
"""Cores of a worker where nothing else was asked for."""

KNOCK_S = 10.0


class RayWorkers:
    """A Ray task for each task; see `ladle_rt.archive.workers.Workers`."""

    def __init__(
        self,
        address: str,
        model: ShippedModel,
        count: int | None = None,
        threads: int | None = None,
        gpus: float = 0.0,
        memory_mb: int = MEMORY_MB,
    ) -> None:
        """
        Args:
            address: ``auto``, ``ray://HOST:PORT``, or ``HOST:PORT`` of a cluster's head.
            model: for all tasks; each node gets it once.
            count: tasks at a time; ``None``: as many as the cluster has cores for.
            threads: cores of each; ``None``: `THREADS`.
            gpus: share of a GPU of each, of 1.
            memory_mb: that Ray reserves for each.

        Raises:
            MissingDependencyError: Ray is not installed.
            BackendError: no cluster there, one of another Ray or Python, or a node with another
                version of this program.
            ConfigError: the cluster can never hold one worker.
        """
        # Before it is imported; it would report to its makers otherwise.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self._ray: Any = require("ray", "scale")
        _knock(address)
        self._mine = not self._ray.is_initialized()
        try:
            if self._mine:
                self._ray.init(address, log_to_driver=False, logging_level="error")
            refuse_other_versions(self._ray, address)
            cluster = self._ray.cluster_resources()
            stored = self._ray.put(model)
        except BackendError:
            self.close()
            raise
        except Exception as error:
            raise BackendError(
                f"{address}: expected a Ray cluster of this Ray and Python, received: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
            ) from error
        self.threads = threads or THREADS
        needs = {"CPU": float(self.threads), "GPU": gpus, "memory": memory_mb * 2.0**20}
        for name, amount in needs.items():
            if amount and cluster.get(name, 0.0) < amount:
                self.close()
                raise ConfigError(
                    f"{address}: a worker needs {amount:g} {name}, the whole cluster has "
                    f"{cluster.get(name, 0.0):g}; ask for less"
                )
        fits = min(cluster[name] / amount for name, amount in needs.items() if amount)
        self.count = count or max(1, int(fits))
        self._model = stored
        # Ray's client brings results at a task's end only; the ledger has them before.
        self._streams = not address.startswith("ray://")
        self._remote = self._ray.remote(
            num_cpus=self.threads,
            num_gpus=gpus,
            memory=int(needs["memory"]),
            # The driver begins lost work anew from what was finished of it.
            max_retries=0,
            num_returns="streaming" if self._streams else 1,
        )(work if self._streams else _work_to_the_end)
        self._running: dict[Any, int] = {}

    def has_room(self) -> bool:
        """See `Workers.has_room`; a task that waits for a core or for memory takes room too."""
        return len(self._running) < self.count

    def submit(self, ticket: int, task: Task) -> None:
        """See `Workers.submit`."""
        self._running[self._remote.remote(task, self._model)] = ticket

    def poll(self, timeout_s: float) -> Sequence[tuple[int, Event]]:
        """See `Workers.poll`."""
        events: list[tuple[int, Event]] = []
        running = list(self._running)
        # One by itself is waited for; then whatever else is there is taken along.
        ready, _ = self._ray.wait(running, num_returns=1, timeout=timeout_s, fetch_local=False)
        more, _ = self._ray.wait(running, num_returns=len(running), timeout=0, fetch_local=False)
        for task in {*ready, *more}:
            ticket = self._running[task]
            found = self._found(task)
            if isinstance(found[-1], Ends):
                del self._running[task]
            events += [(ticket, event) for event in found]
        return events

    def _found(self, task: Any) -> list[Event]:
        """What a task that has something to say says; at least one event."""
        try:
            if not self._streams:
                every: list[Event] = self._ray.get(task)
                return every
            return [self._ray.get(next(task))]
        except StopIteration:
            return [Lost("a task ended without a word")]
        except self._ray.exceptions.RayError as error:
            # A dead worker or node, one that took too much memory, or one that cannot load this
            # program; the first line says which.
            return [Lost(str(error).strip().splitlines()[0])]

    def close(self) -> None:
        """Cancel what runs and leave the cluster as it was."""
        for task in getattr(self, "_running", {}):
            self._ray.cancel(task, force=True)
        self._running = {}
        if self._mine:
            self._ray.shutdown()


def _knock(address: str) -> None:
    """Whether anything listens there; Ray itself would try for minutes, then end the process.

    Raises:
        BackendError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()
    except OSError as error:
        raise BackendError(
            f"{address}: expected a Ray cluster, received {error.strerror or error}; is its head "
            "running, and the port open from here?"
        ) from error


def _work_to_the_end(task: Task, model: ShippedModel) -> list[Event]:
    return list(work(task, model))
