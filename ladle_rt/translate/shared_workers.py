"""What many translators on one CPU have in common: the threads, and each network once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from ladle_rt.translate.batching import Batching, BatchingNetwork
from ladle_rt.translate.fair_pool import FairPool, Lane
from ladle_rt.translate.network import Network


class SharedWorkers:
    """One pool with a lane for each translator; see `ladle_rt.translate.fair_pool`."""

    def __init__(self, workers: int, batching: Batching | None = None) -> None:
        """
        Args:
            workers: threads, one frame each.
            batching: how frames of several translators share a run of the network.
        """
        self._batching = batching or Batching()
        # Threads that wait for a batch do nothing meanwhile: enough for all that may wait.
        self.workers = max(workers, self._batching.frames)
        self._pool = FairPool(self.workers)
        self._networks: dict[Hashable, Network] = {}
        self._loading = threading.Lock()

    def network(self, key: Hashable, load: Callable[[], Network]) -> Network:
        """The network of a key, loaded by the first who asks.

        Raises:
            LadleError: what loading it raised; the next who asks tries again.
            ConfigError: batches of a network that takes one frame at a time.
        """
        with self._loading:
            if key not in self._networks:
                network = load()
                if self._batching.frames > 1:
                    network = BatchingNetwork(network, self._batching)
                self._networks[key] = network
            return self._networks[key]

    def lane(self) -> Lane:
        """A place in the pool."""
        return self._pool.lane()

    def close(self) -> None:
        """End the threads; translators that still use them hear that they are closed."""
        self._pool.close()
        self._networks.clear()
