"""A live source that never ends: watched, and opened again whenever it goes away.

    reader thread: inner source ──► one waiting frame ──► consumer
                   reopened after a loss, abandoned after a stall

The reader's own thread is what makes the wait bounded: a driver that hangs in a call cannot be
woken, but it can be left behind.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from ladle_rt.closing import Closing
from ladle_rt.errors import ConfigError, LadleError
from ladle_rt.frames import Frame
from ladle_rt.sources.base import Source, SourceEvent, SourceInfo

logger = logging.getLogger("ladle_rt.stream")

CLOSE_TIMEOUT_S = 1.0
"""How long a reader may take to come back after its source was closed."""
MOST_ABANDONED = 4
"""Readers left behind in hanging calls; with more, the next attempt waits for one of them."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts: each longer than the last, none exactly like another machine's."""

    first_s: float = 0.1
    longest_s: float = 5.0
    jitter: float = 0.25
    """Each wait is drawn from 1 - jitter to 1 + jitter times its length."""

    def __post_init__(self) -> None:
        if not (0 < self.first_s <= self.longest_s and 0 <= self.jitter < 1):
            raise ConfigError(
                "backoff must satisfy 0 < first_s <= longest_s and 0 <= jitter < 1, "
                f"received {self.first_s:g}, {self.longest_s:g} and {self.jitter:g}"
            )

    def wait_s(self, attempt: int) -> float:
        """Seconds to wait before attempt 0, 1, 2, ... after a loss."""
        wanted_s = min(self.first_s * 2.0 ** min(attempt, 30), self.longest_s)
        return wanted_s * random.uniform(1 - self.jitter, 1 + self.jitter)


class _Reader:
    """One opened source and the thread that reads it."""

    def __init__(self, source: Source, changed: threading.Condition) -> None:
        self.source = source
        self.frame: Frame | None = None
        """The newest one; the consumer takes it."""
        self.ended = False
        self.error: BaseException | None = None
        self._changed = changed
        self.thread = threading.Thread(target=self._read, name="source", daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            for frame in self.source:
                with self._changed:
                    # The consumer keeps up or drops by its own policy; it takes each frame at
                    # once, so waiting for it here is short, and bounded by `close`.
                    self._changed.wait_for(lambda: self.frame is None or self.ended)
                    if self.ended:
                        return
                    self.frame = frame
                    self._changed.notify_all()
        except BaseException as error:
            self.error = error
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify_all()

    def leave(self) -> bool:
        """Close the source; whether its thread came back."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()
        try:
            self.source.close()
        except LadleError as error:
            logger.debug("closing a lost source: %s", error)
        self.thread.join(CLOSE_TIMEOUT_S)
        return not self.thread.is_alive()


class ReconnectingSource(Closing):
    """A `Source` over others of the same place; see the module's docstring.

    Sequences count on and presentation times never run back across reopening: the time without
    frames stays in them as a gap.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        *,
        timeout_s: float,
        on_event: Callable[[SourceEvent], None] = lambda event: None,
        backoff: Backoff | None = None,
    ) -> None:
        """
        Args:
            open_source: opens the place; called at once, and again after every loss.
            timeout_s: without a frame for so long the source counts as lost.
            on_event: told of losses and returns, from the consuming thread.
            backoff: waits between attempts.

        Raises:
            LadleError: whatever the first opening raised; it is not retried.
        """
        self._open, self._timeout_s = open_source, timeout_s
        self._on_event = on_event
        self._backoff = backoff or Backoff()
        self._changed = threading.Condition()
        self._closed = False
        self._abandoned: list[_Reader] = []
        self._sequence = 0
        self._last: tuple[Fraction, int] | None = None
        """Time of the last frame in seconds, and the monotonic nanosecond it came at."""
        self._shift = Fraction(0)
        self._kind: tuple[object, ...] | None = None
        first = open_source()
        self.info: SourceInfo = replace(first.info, live=True)
        self._reader: _Reader | None = _Reader(first, self._changed)

    def __iter__(self) -> Iterator[Frame]:
        """Deliver frames until `close`.

        Raises:
            Exception: a bug in the inner source; losses are not raised.
        """
        attempt = 0
        while not self._closed:
            reader = self._reader
            if reader is None:
                reader = self._reopen(attempt)
                attempt += 1
                if reader is None:
                    continue
            fresh = True
            while (frame := self._next(reader)) is not None:
                if fresh and attempt:
                    self._emit_event("back", f"{self.info.name or 'the source'} is back")
                    attempt = 0
                placed = self._place(frame, fresh)
                fresh = fresh and frame.fault is not None
                yield placed
            if self._closed:
                return
            self._lose(reader)

    def close(self) -> None:
        """End every wait, in any thread, and release the input; harmless a second time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.leave()

    def _next(self, reader: _Reader) -> Frame | None:
        """The next frame; ``None`` when the reader ended, stalled, or all is closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or reader.frame is not None or reader.ended, self._timeout_s
            )
            if self._closed:
                return None
            frame, reader.frame = reader.frame, None
            self._changed.notify_all()
            return frame

    def _lose(self, reader: _Reader) -> None:
        with self._changed:
            if self._reader is reader:
                self._reader = None
            ended, error = reader.ended, reader.error
        if not reader.leave():
            self._abandoned.append(reader)
        if error is not None and not isinstance(error, LadleError | OSError):
            raise error
        if error is not None:
            reason = str(error)
        elif ended:
            reason = "it ended"
        else:
            reason = f"no frame for {self._timeout_s:g} s"
        name = self.info.name or "the source"
        self._emit_event("lost", reason if name in reason else f"{name}: {reason}")

    def _reopen(self, attempt: int) -> _Reader | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, self._backoff.wait_s(attempt))
            if self._closed:
                return None
        self._abandoned = [one for one in self._abandoned if one.thread.is_alive()]
        if len(self._abandoned) >= MOST_ABANDONED:
            return None
        try:
            source = self._open()
        except (LadleError, OSError) as error:
            self._emit_event("retrying", str(error))
            return None
        reader = _Reader(source, self._changed)
        with self._changed:
            if not self._closed:
                self._reader = reader
                return reader
        reader.leave()
        return None

    def _place(self, frame: Frame, fresh: bool) -> Frame:
        now_ns = time.monotonic_ns()
        base = frame.time_base or Fraction(1, 1_000_000_000)
        own_s = (frame.pts if frame.pts is not None else frame.timestamp_ns) * base
        if self._last is not None:
            last_s, last_ns = self._last
            if frame.fault is not None:
                # Its time is as doubtful as its pixels, and has no say in those of later frames.
                own_s, now_ns = last_s - self._shift, last_ns
            elif fresh:
                # As much later as the clock on the wall says.
                self._shift = last_s + Fraction(now_ns - last_ns, 1_000_000_000) - own_s
            elif own_s + self._shift <= last_s:
                # The source's clock jumped back.
                self._shift = last_s + 1 / self.info.rate - own_s
        placed_s = own_s + self._shift
        pts = round(placed_s / self.info.time_base)
        if self._last is not None:
            pts = max(pts, int(self._last[0] / self.info.time_base) + 1)
        self._last = max(placed_s, pts * self.info.time_base), now_ns
        self._notice_change(frame)
        placed = replace(frame, sequence=self._sequence, pts=pts, time_base=self.info.time_base)
        self._sequence += 1
        return placed

    def _notice_change(self, frame: Frame) -> None:
        if frame.fault is not None:
            return
        kind = (frame.pixels.shape, frame.pixels.dtype.name)
        if self._kind is not None and kind != self._kind:
            (height, width), name = kind
            self._emit_event(
                "changed", f"{self.info.name or 'the source'}: now {width}x{height} {name}"
            )
        self._kind = kind

    def _emit_event(
        self, kind: Literal["lost", "retrying", "back", "changed"], detail: str
    ) -> None:
        if kind in ("lost", "back"):
            logger.warning("%s", detail)
        self._on_event(SourceEvent(kind, detail))
