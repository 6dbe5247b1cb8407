"""When the GPU is lost in the middle of a run, the CPU goes on."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from ladle_rt.errors import BackendError, LadleError, PipelineError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.thermal.normalization import FollowedLevels
from ladle_rt.translate.base import DelegatingTranslator, Translator
from ladle_rt.translate.cpu_translator import CLOSED

logger = logging.getLogger("ladle_rt.engine")

Outcome = TranslatedFrame | LadleError


class FailoverTranslator(DelegatingTranslator):
    """A `Translator` that outlives its engine.

    CUDA's errors are sticky: after an Xid, an illegal access or a reset, nothing of this process
    reaches the GPU again. The first `BackendError` of the engine therefore ends it, in one line,
    and another takes its place for good. Frames that were in flight are translated again by the
    other, in order, from the thermal levels of the last picture: none is lost and the brightness
    makes no step. A failure of the other is the run's.

    Args:
        engine: translates until it fails; owned by this object.
        replace_engine: makes the other; called once at most, in the thread that met the failure.
    """

    def __init__(self, engine: Translator, replace_engine: Callable[[], Translator]) -> None:
        super().__init__(engine)
        self._replace = replace_engine
        self._replaced = self._closed = False
        self._flying: deque[Frame] = deque()
        """Submitted to the engine and not collected; all of these change under the lock only."""
        self._rescued: deque[Outcome] = deque()
        """Of frames that were in flight when the engine failed; older than those that fly now."""
        self._followed: FollowedLevels | None = None
        self._size: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._tickets = 0

    @property
    def engine(self) -> Translator:
        """The one that the next frame goes to."""
        return self._engine

    def resize(self, size: tuple[int, int]) -> None:
        """See `Translator.resize`; the other engine would follow."""
        with self._lock:
            self._size = size
            self._engine.resize(size)

    def submit(self, frame: Frame) -> int:
        """Enqueue one frame; see `Translator.submit`."""
        with self._lock:
            engine = self._engine
            self._flying.append(frame)
        try:
            engine.submit(frame)
        except BackendError as error:
            # The frame is among those in flight: it is translated with them.
            self._fail_over(engine, error)
        self._tickets += 1
        return self._tickets - 1

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        """The next result; see `Translator.collect`."""
        while True:
            with self._lock:
                engine = self._engine
                outcome = self._rescued.popleft() if self._rescued else None
            if outcome is None:
                outcome = self._collect_from(engine, timeout_s)
            if isinstance(outcome, LadleError):
                raise outcome
            if outcome is not None:
                return outcome

    def followed_levels(self) -> FollowedLevels | None:
        """See `Translator.followed_levels`."""
        engine = self._engine
        try:
            return engine.followed_levels()
        except BackendError as error:
            self._fail_over(engine, error)
            return self._engine.followed_levels()

    def resume_levels(self, followed: FollowedLevels) -> None:
        """See `Translator.resume_levels`."""
        engine = self._engine
        try:
            engine.resume_levels(followed)
        except BackendError as error:
            self._fail_over(engine, error)
            self._engine.resume_levels(followed)

    def close(self) -> None:
        """Drop what is in flight and release the engine."""
        self._closed = True
        with self._lock:
            self._engine.close()
            self._flying.clear()
            self._rescued.clear()

    def _collect_from(self, engine: Translator, timeout_s: float | None) -> Outcome | None:
        """The next result of an engine; ``None``: it failed, look among what was rescued."""
        try:
            outcome: Outcome = engine.collect(timeout_s)
        except PipelineError:
            if engine is not self._engine:
                return None
            # By contract the frame is still in flight, or there was none.
            raise
        except BackendError as error:
            if self._replaced and engine is self._engine:
                outcome = error
            else:
                self._fail_over(engine, error)
                return None
        except LadleError as error:
            # Of this frame alone.
            outcome = error
        with self._lock:
            if engine is not self._engine:
                # Meanwhile the submitting thread met the failure, and rescued this frame too.
                return None
            if self._flying:
                frame = self._flying.popleft()
                self._follow(frame, outcome)
        return outcome

    def _follow(self, frame: Frame, outcome: Outcome) -> None:
        if isinstance(outcome, TranslatedFrame) and outcome.thermal is not None:
            self._followed = FollowedLevels(outcome.thermal.levels, frame.time_s)

    def _fail_over(self, failed: Translator, error: BackendError) -> None:
        """Put the other in place of an engine that failed, unless somebody has.

        Raises:
            BackendError: nothing is to be put in its place.
        """
        with self._lock:
            if self._closed:
                raise BackendError(CLOSED) from error
            if failed is not self._engine:
                return
            if self._replaced:
                self._flying.pop()  # It was never enqueued.
                raise error
            self._replaced = True
            size = self._size or failed.network_size
            # Before the other is made: what it still holds of the machine may be needed.
            failed.close()
            other = self._replace()
            logger.warning("%s; going on with %s", error, other.name)
            other.resize(size)
            if self._followed is not None:
                other.resume_levels(self._followed)
            self._engine = other
            while self._flying:
                self._rescued.append(_translated(other, self._flying.popleft()))


def _translated(engine: Translator, frame: Frame) -> Outcome:
    engine.submit(frame)
    try:
        return engine.collect()
    except LadleError as error:
        return error
