"""What many translators on one machine have in common: the threads, and each network once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextlib import ExitStack

from ladle_rt.translate.batching import Batching, BatchingNetwork
from ladle_rt.translate.fair_pool import FairPool, Lane
from ladle_rt.translate.network import Network, PatientNetwork


class SharedWorkers:
    """One pool with a lane for each translator; see `ladle_rt.translate.fair_pool`."""

    def __init__(self, workers: int, batching: Batching | None = None) -> None:
        """
        Args:
            workers: threads, one frame each.
            batching: how frames of several translators share a run of the network.
        """
        self.batching = batching or Batching()
        # Threads that wait for a batch do nothing meanwhile: enough for all that may wait.
        self.workers = max(workers, self.batching.frames)
        self._at_end = ExitStack()
        self._pool = FairPool(self.workers)
        self._networks: dict[Hashable, Network] = {}
        self._patient: list[PatientNetwork] = []
        self._loading = threading.Lock()

    def network(
        self, key: Hashable, load: Callable[[], Network], takes_batches: bool = False
    ) -> Network:
        """The network of a key, loaded by the first who asks.

        Args:
            key: the same for the same network.
            load: makes it.
            takes_batches: it is known to; otherwise it is tried where batches are wanted.

        Raises:
            LadleError: what loading it raised; the next who asks tries again.
            ConfigError: batches of a network that takes one frame at a time.
        """
        with self._loading:
            if key not in self._networks:
                network = load()
                if isinstance(network, PatientNetwork):
                    self._patient.append(network)
                if self.batching.frames > 1:
                    network = BatchingNetwork(network, self.batching, takes_batches)
                self._networks[key] = network
            return self._networks[key]

    def at_end(self, close: Callable[[], None]) -> None:
        """Remember how something that a network holds is given back."""
        self._at_end.callback(close)

    def lane(self) -> Lane:
        """A place in the pool."""
        return self._pool.lane()

    def give_up(self) -> None:
        """No network waits any more; see `PatientNetwork.give_up`."""
        # Not under the lock: who loads may wait for a server too.
        for network in list(self._patient):
            network.give_up()

    def close(self) -> None:
        """End the threads; translators that still use them hear that they are closed."""
        self.give_up()
        self._pool.close()
        self._networks.clear()
        self._at_end.close()
