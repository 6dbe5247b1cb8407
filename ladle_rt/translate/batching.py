"""Frames of several translators through one network together, within a bound of time.

The first frame that comes waits for others of its size, a few milliseconds at most; then all go
through the network in one run. That pays where a run has a cost of its own: on a GPU or behind a
network connection. On a CPU, one frame per thread is faster.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass

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


class _Batch:
    """Frames of one size that wait together."""

    def __init__(self) -> None:
        self.frames: list[Array] = []
        self.results: list[Future[Array]] = []
        self.full = threading.Event()


class BatchingNetwork:
    """A `Network` over another one; each worker's frame joins the batch that is open.

    The worker that opens a batch runs it: there is no thread of its own, and nothing waits longer
    than ``wait_ms`` and the run.
    """

    def __init__(self, network: Network, batching: Batching) -> None:
        """
        Args:
            network: must take [N,1,H,W].
            batching: how frames are gathered.

        Raises:
            ConfigError: a network that takes one frame at a time.
        """
        self._network, self._batching = network, batching
        self._lock = threading.Lock()
        self._open: dict[tuple[int, ...], _Batch] = {}
        probe = np.zeros((2, 1, *PROBE), np.float32)
        try:
            fits = network.runner()(probe).shape[0] == 2
        except BackendError:
            fits = False
        if not fits:
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
            result: Future[Array] = Future()
            batch, leads = self._join(thermal, result)
            if leads:
                self._lead(batch, thermal.shape, inner)
            return result.result()

        return run

    def _join(self, thermal: Array, result: Future[Array]) -> tuple[_Batch, bool]:
        with self._lock:
            batch = self._open.get(thermal.shape)
            leads = batch is None
            if batch is None:
                batch = self._open[thermal.shape] = _Batch()
            batch.frames.append(thermal)
            batch.results.append(result)
            if len(batch.frames) == self._batching.frames:
                del self._open[thermal.shape]
                batch.full.set()
            return batch, leads

    def _lead(self, batch: _Batch, shape: tuple[int, ...], inner: Runner) -> None:
        batch.full.wait(self._batching.wait_ms / 1000)
        with self._lock:
            if self._open.get(shape) is batch:
                del self._open[shape]
        try:
            # A copy, because the engine's own memory is valid until its next run only.
            output = np.array(inner(np.concatenate(batch.frames)))
        except BaseException as error:
            # Its traceback belongs to one frame; the others hear the same line.
            batch.results[0].set_exception(error)
            for result in batch.results[1:]:
                result.set_exception(BackendError(str(error)))
            return
        for number, result in enumerate(batch.results):
            result.set_result(output[number : number + 1])
