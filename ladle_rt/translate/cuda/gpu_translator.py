"""The GPU translator: one thread owns the GPU, everyone else talks to that thread.

CUDA's context stack belongs to a thread, and what pycuda made in one thread it cannot free in
another. So a single worker thread makes the context, loads the engine, plans, enqueues, waits and
frees; `submit` puts a frame into its queue, `collect` takes a result out of a future. No caller
touches CUDA, no call is made under a lock, and a thread that stops asking stops nobody else.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from ladle_rt.closing import Closing
from ladle_rt.config import Layout, TranslateOptions
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.errors import BackendError, PipelineError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.geometry import fit_letterbox
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.thermal.normalization import FollowedLevels
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cpu_translator import CLOSED
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.cuda.gpu_worker import GpuWorker, Job, LevelsAnswer, Result
from ladle_rt.translate.cuda.kernels import frame_cubin

logger = logging.getLogger("ladle_rt")

SLOTS = 3
"""One frame waited for, one computed, one uploaded."""
CLOSE_LIMIT_S = 60.0
"""Longest wait for the GPU at the end; a frame takes milliseconds."""


class GpuTranslator(Closing):
    """A `Translator` on one NVIDIA GPU; see the module's docstring.

    Args:
        open_gpu: makes the `Gpu`; called in the worker thread, as is everything below.
        open_engine: loads the network onto it.
        info: the model's facts.
        options: how to translate.
        picture: what the sink wants.
        slots: frames in flight.
        image: the compiled kernels for a compute capability.

    Raises:
        LadleError: whatever keeps the GPU, the kernels or the engine from starting.
    """

    def __init__(
        self,
        open_gpu: Callable[[], Gpu],
        open_engine: Callable[[Gpu], EnqueueEngine],
        info: ModelInfo,
        options: TranslateOptions,
        picture: PictureSpec,
        *,
        slots: int = SLOTS,
        image: Callable[[tuple[int, int]], bytes] = frame_cubin,
    ) -> None:
        self._picture, self._depth = picture, slots
        self._layout = options.layout
        self._size = options.size or info.train_size
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(slots)
        self._flying: deque[Result] = deque()
        self._asked: LevelsAnswer = Future()
        """The last question for the levels; under the lock."""
        self._lock = threading.Lock()
        self._end: BackendError | None = None
        """Why no more frames are taken; under the lock."""
        self._tickets = 0
        self._warned_odd = False
        started: Future[str] = Future()
        worker = self._worker = GpuWorker(info, options, picture, slots, self._jobs)
        self._multiple = info.size_multiple

        def serve() -> None:
            failed = False
            try:
                started.set_result(worker.start(open_gpu, open_engine, image))
                worker.serve()
            except BaseException as error:
                failed = True
                if not started.done():
                    started.set_exception(error)
                self._finish(error)
            else:
                self._finish(BackendError(CLOSED))
            try:
                worker.release()
            except BackendError as error:
                # After a failure this is its consequence, and not news.
                if not failed:
                    logger.warning("%s", error)

        self._thread = threading.Thread(target=serve, name="gpu", daemon=True)
        self._thread.start()
        try:
            self._name = started.result()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Engine and GPU."""
        return self._name

    @property
    def depth(self) -> int:
        """One frame per slot."""
        return self._depth

    @property
    def network_size(self) -> tuple[int, int]:
        """See `Translator.network_size`."""
        return self._size

    @property
    def layout(self) -> Layout:
        """See `Translator.layout`."""
        return self._layout

    def resize(self, size: tuple[int, int]) -> None:
        """See `Translator.resize`; the ring is planned anew for it."""
        self._size = size

    def supports(self, frame: tuple[int, int], box: tuple[int, int]) -> bool:
        """See `Translator.supports`."""
        return self._worker.supports(fit_letterbox(*frame, box, self._multiple).padded)

    def submit(self, frame: Frame) -> int:
        """Enqueue one frame; see `Translator.submit`.

        Raises:
            BackendError: the translator is closed, or the GPU failed earlier.
        """
        self._room.acquire()
        result: Result = Future()
        with self._lock:
            if self._end is not None:
                # The next one who waits for room hears it too.
                self._room.release()
                raise _again(self._end)
            self._flying.append(result)
            self._jobs.put((frame, self._size, result))
        height, width = frame.pixels.shape
        if self._picture.even and (height % 2 or width % 2) and not self._warned_odd:
            self._warned_odd = True
            logger.warning("%dx%d is odd: the picture is cropped to even by a pixel", width, height)
        self._tickets += 1
        return self._tickets - 1

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        """The next result; see `Translator.collect`."""
        try:
            result = self._flying[0]
        except IndexError:
            with self._lock:
                end = self._end
            if end is not None:
                raise _again(end) from None
            raise PipelineError("collect without a frame in flight; submit one first") from None
        try:
            result.exception(timeout_s)
        except FutureTimeoutError:
            raise PipelineError(f"no frame translated within {timeout_s} s") from None
        self._flying.popleft()
        self._room.release()
        return result.result()

    def followed_levels(self) -> FollowedLevels | None:
        """See `Translator.followed_levels`."""
        with self._lock:
            if self._end is not None:
                raise _again(self._end)
            answer = self._asked = Future()
            self._jobs.put(answer)
        return answer.result()

    def resume_levels(self, followed: FollowedLevels) -> None:
        """See `Translator.resume_levels`."""
        with self._lock:
            if self._end is not None:
                raise _again(self._end)
            self._jobs.put(followed)

    def close(self) -> None:
        """Drop what is in flight, free the GPU, end the worker thread."""
        with self._lock:
            self._end = self._end or BackendError(CLOSED)
        self._jobs.put(None)
        self._room.release()
        self._thread.join(CLOSE_LIMIT_S)
        if self._thread.is_alive():
            logger.error(
                "the GPU has not answered for %.0f s; what it holds is freed when the program ends",
                CLOSE_LIMIT_S,
            )

    def _finish(self, error: BaseException) -> None:
        """Refuse from now on and answer every frame that has no answer; in the worker thread."""
        with self._lock:
            self._end = self._end or BackendError(str(error))
            waiting: list[Future[Any]] = [*self._flying, self._asked]
        first = True
        for result in waiting:
            if not result.done():
                # Its traceback belongs to one frame; the others hear the same line.
                result.set_exception(error if first else BackendError(str(error)))
                first = False
        self._room.release()


def _again(end: BackendError) -> BackendError:
    # A new one each time: a raised error collects the traceback of everyone who raises it.
    return BackendError(str(end))
