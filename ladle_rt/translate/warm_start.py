"""Frames flow at once while a faster engine is made ready behind them."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ladle_rt.errors import BackendError, LadleError, PipelineError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.translate.base import DelegatingTranslator, Translator

logger = logging.getLogger("ladle_rt.engine")

TRIAL_LIMIT_S = 120.0
"""Longest wait for the first picture of the other engine, which may compile its kernels for it."""
CLOSE_LIMIT_S = 60.0
"""Longest wait at the end for an engine that is just being opened."""


class WarmStartTranslator(DelegatingTranslator):
    """A `Translator` that begins with one engine and goes over to another between two frames.

    Before it does, the second has translated one frame of the run. Frames in flight in the first
    are still collected from it, in order; then it is closed. The second goes on from the first
    one's thermal levels, so that brightness makes no step. If it cannot be made or refuses the
    frame, that is said once and the first goes on.

    Args:
        first: translates until the other is ready; owned by this object.
        build: makes the other, in a thread of its own. Its argument is set when nobody waits for
            it any more.
    """

    def __init__(self, first: Translator, build: Callable[[threading.Event], Translator]) -> None:
        super().__init__(first)
        self._next: Translator | None = None
        self._retiring: Translator | None = None
        self._size: tuple[int, int] | None = None
        self._flying: deque[Translator] = deque()
        """Engines of the frames in flight; all of these change under the lock only."""
        self._lock = threading.Lock()
        self._closed = False
        self._tickets = 0
        self._sample: Frame | None = None
        """A copy of the first frame, which the other engine is tried with."""
        self._sampled = threading.Event()
        """Set when there is one, and at the end."""
        self._leave = threading.Event()
        self.ready = threading.Event()
        """Set when the other engine has been tried, or will not come."""
        self._thread = threading.Thread(
            target=self._make, args=(build,), name="warm-start", daemon=True
        )
        self._thread.start()
        # The interpreter may not end while the thread is inside the engine's library.
        atexit.register(self.close)

    def resize(self, size: tuple[int, int]) -> None:
        """See `Translator.resize`; the engine that is being made will follow."""
        with self._lock:
            self._size = size
            self._engine.resize(size)

    def submit(self, frame: Frame) -> int:
        """Enqueue one frame; see `Translator.submit`."""
        if self._sample is None:
            self._sample = replace(frame, pixels=frame.pixels.copy())
            self._sampled.set()
        self._go_over()
        translator = self._engine
        translator.submit(frame)
        with self._lock:
            self._flying.append(translator)
        self._tickets += 1
        return self._tickets - 1

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        """The next result; see `Translator.collect`."""
        # An empty queue is the current engine's to complain about.
        with self._lock:
            translator = self._flying[0] if self._flying else self._engine
        try:
            result = translator.collect(timeout_s)
        except PipelineError:
            # By contract the frame is still in flight, or there was none.
            raise
        except BaseException:
            self._collected()
            raise
        self._collected()
        return result

    def close(self) -> None:
        """Drop what is in flight and release both engines; a plan goes on being built."""
        atexit.unregister(self.close)
        with self._lock:
            self._closed = True
            waiting, self._next = self._next, None
        self._leave.set()
        self._sampled.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_LIMIT_S)
        for translator in (self._engine, self._retiring, waiting):
            if translator is not None:
                translator.close()
        with self._lock:
            self._flying.clear()

    def _make(self, build: Callable[[threading.Event], Translator]) -> None:
        made: Translator | None = None
        try:
            made = build(self._leave)
            self._try(made)
            with self._lock:
                if not self._closed:
                    self._next, made = made, None
        except LadleError as error:
            if self._closed:
                logger.info("%s", error)
            else:
                logger.warning("%s; going on with %s", error, self._engine.name)
        except Exception:
            logger.exception("the faster engine failed; going on with %s", self._engine.name)
        finally:
            if made is not None:
                made.close()
            self.ready.set()

    def _try(self, made: Translator) -> None:
        """Let it translate one frame of the run, in the run's box.

        Raises:
            LadleError: it cannot.
        """
        self._sampled.wait()
        sample = self._sample
        if sample is None or self._closed:
            return
        with self._lock:
            made.resize(self._size or self._engine.network_size)
        made.submit(sample)
        made.collect(TRIAL_LIMIT_S)

    def _go_over(self) -> None:
        with self._lock:
            successor = None if self._closed else self._next
        if successor is None:
            return
        # Not under the lock: the first may have to be waited for, and somebody else collects.
        with suppress(BackendError):
            followed = self._engine.followed_levels()
            if followed is not None:
                successor.resume_levels(followed)
        with self._lock:
            if self._closed:
                return
            self._retiring, self._engine, self._next = self._engine, successor, None
            if self._size is not None:
                self._engine.resize(self._size)
        logger.info("from this frame on: %s", self._engine.name)
        self._retire()

    def _collected(self) -> None:
        with self._lock:
            if self._flying:
                self._flying.popleft()
        self._retire()

    def _retire(self) -> None:
        """Close the engine that was left behind, when nothing of it is in flight."""
        with self._lock:
            retiring = self._retiring
            if retiring is None or retiring in self._flying:
                return
            self._retiring = None
        retiring.close()
