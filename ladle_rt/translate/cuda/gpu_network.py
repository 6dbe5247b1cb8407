"""One engine on a GPU for many cameras: frames come from host memory, several in one run.

    worker of camera A ─┐                              ┌─► worker of camera A
    worker of camera B ─┼─► a batch ─► thread of the ──┼─► worker of camera B
    worker of camera C ─┘              GPU             └─► worker of camera C

The weights lie in device memory once, whatever the number of cameras. What surrounds the network
is done on the CPU, so this pays where runs have a cost of their own and cores are free.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from ladle_rt.cuda.gpu import Bytes, Gpu
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.errors import BackendError, ConfigError
from ladle_rt.translate.cpu_translator import CLOSED
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.cuda.gpu_translator import CLOSE_LIMIT_S
from ladle_rt.translate.network import Array, Runner

logger = logging.getLogger("ladle_rt")


class GpuNetwork:
    """A `Network` over an `EnqueueEngine`; takes [N,1,H,W], as many frames as the engine does.

    One thread owns GPU and engine. After a failure both are given back, and opened anew for the
    next frames.

    Args:
        open_gpu: makes the `Gpu`; called in that thread, as is everything below.
        open_engine: loads the network onto it.

    Raises:
        LadleError: whatever keeps GPU or engine from starting.
    """

    def __init__(
        self, open_gpu: Callable[[], Gpu], open_engine: Callable[[Gpu], EnqueueEngine]
    ) -> None:
        self._open: Callable[[], _Session] = lambda: _Session(open_gpu, open_engine)
        self._jobs: queue.SimpleQueue[tuple[Array, Future[Array]] | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        started: Future[str] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(started,), name="gpu batches", daemon=True
        )
        self._thread.start()
        self._name = started.result()

    @property
    def name(self) -> str:
        """Engine and GPU."""
        return self._name

    def runner(self) -> Runner:
        """For one worker; see `Network.runner`."""

        def run(thermal: Array) -> Array:
            result: Future[Array] = Future()
            with self._lock:
                if self._closed:
                    raise BackendError(CLOSED)
                self._jobs.put((thermal, result))
            return result.result()

        return run

    def close(self) -> None:
        """Answer what was asked, then free the GPU; calling it twice is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join(CLOSE_LIMIT_S)

    def _serve(self, started: Future[str]) -> None:
        try:
            first = self._open()
        except BaseException as error:
            started.set_exception(error)
            return
        session: _Session | None = first
        started.set_result(first.name)
        while (job := self._jobs.get()) is not None:
            thermal, result = job
            try:
                session = session or self._open()
                result.set_result(session.run(thermal))
            except ConfigError as error:
                # A size, or so many frames: the next may be others.
                result.set_exception(error)
            except BaseException as error:
                result.set_exception(error)
                _give_back(session)
                session = None
        _give_back(session)


def _give_back(session: _Session | None) -> None:
    if session is not None:
        # After a failure this is its consequence, and not news.
        with contextlib.suppress(BackendError):
            session.close()


class _Session:
    """GPU, engine and buffers, until something fails."""

    def __init__(
        self, open_gpu: Callable[[], Gpu], open_engine: Callable[[Gpu], EnqueueEngine]
    ) -> None:
        self._resources = ResourceStack()
        self._prepared: tuple[int, ...] = ()
        self._capacity = 0
        self._buffers = ResourceStack()
        try:
            self._gpu = open_gpu()
            self._resources.callback(self._gpu.close)
            self._engine = open_engine(self._gpu)
            self._resources.callback(self._engine.close)
            self._stream = self._gpu.create_stream()
            self._resources.callback(self._gpu.destroy_stream, self._stream)
            self._done = self._gpu.create_event()
            self._resources.callback(self._gpu.destroy_event, self._done)
        except BaseException:
            with contextlib.suppress(BackendError):
                self.close()
            raise
        self.name = f"{self._engine.name} on {self._gpu.name}"

    def run(self, thermal: Array) -> Array:
        """float32 [N,1,H,W] in [0,1] to the network's output, float32 [N,3,H,W]."""
        frames, _, height, width = thermal.shape
        dtype = np.dtype(self._engine.network_dtype)
        if self._prepared != thermal.shape:
            self._prepared = ()
            self._engine.prepare((height, width), self._gpu, self._stream, frames)
            self._prepared = thermal.shape
        size = thermal.size * dtype.itemsize
        if size > self._capacity:
            self._grow(size)
        given, taken = self._given[:size], self._taken[: 3 * size]
        given[:] = np.ascontiguousarray(thermal, dtype).reshape(-1).view(np.uint8)
        self._gpu.copy_to_device(self._thermal, given, self._stream)
        self._engine.enqueue(self._thermal, self._rgb, self._stream)
        self._gpu.copy_to_host(taken, self._rgb, self._stream)
        self._gpu.record_event(self._done, self._stream)
        self._gpu.synchronize_event(self._done)
        # A copy, because the memory is the next run's.
        output: Array = taken.view(dtype).reshape(frames, 3, height, width).astype(np.float32)
        return output

    def close(self) -> None:
        """Give everything back.

        Raises:
            BackendError: something could not be given back; all the rest was.
        """
        self._resources.callback(self._buffers.close)
        self._resources.close()

    def _grow(self, size: int) -> None:
        gpu = self._gpu
        self._capacity = 0
        self._buffers.close()
        self._buffers = ResourceStack()

        def device(count: int) -> int:
            pointer = gpu.allocate(count)
            self._buffers.callback(gpu.free, pointer)
            return pointer

        def pinned(count: int) -> Bytes:
            array = gpu.allocate_pinned(count)
            self._buffers.callback(gpu.free_pinned, array)
            return array

        self._thermal, self._rgb = device(size), device(3 * size)
        self._given, self._taken = pinned(size), pinned(3 * size)
        self._capacity = size
