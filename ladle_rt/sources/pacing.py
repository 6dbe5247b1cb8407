"""Recordings that behave like cameras: at their own pace, and without end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from ladle_rt.closing import Closing
from ladle_rt.errors import InputError
from ladle_rt.frames import Frame
from ladle_rt.sources.base import Source, SourceInfo
from ladle_rt.sources.close_guard import CloseGuard

LONGEST_GAP_S = 5.0
"""A longer pause in a recording is a clock that jumped, and is not waited for."""
LATE_S = 1.0
"""Further behind than this, the schedule starts anew instead of catching up in a burst."""


class RealtimeSource(Closing):
    """A `Source` that delivers another one's frames when their time has come.

    ``timestamp_ns`` is the time of delivery: to the pipeline each frame is new.
    """

    def __init__(self, inner: Source) -> None:
        """
        Args:
            inner: a recording; belongs to this object.
        """
        self._inner = inner
        self._guard = CloseGuard(inner.close)
        self.info: SourceInfo = replace(inner.info, live=True)

    def __iter__(self) -> Iterator[Frame]:
        """Deliver the frames; ends early when closed."""
        with self._guard.using():
            yield from self._deliver()

    def _deliver(self) -> Iterator[Frame]:
        due_s: float | None = None
        last_s = 0.0
        for frame in self._inner:
            now_s = time.monotonic()
            step_s = frame.time_s - last_s
            last_s = frame.time_s
            if due_s is None or now_s - due_s > LATE_S:
                due_s = now_s
            elif 0 <= step_s <= LONGEST_GAP_S:
                due_s += step_s
            else:
                due_s += 1 / float(self.info.rate)
            if due_s > now_s and self._guard.closing.wait(due_s - now_s):
                return
            yield replace(frame, timestamp_ns=time.monotonic_ns())

    def close(self) -> None:
        """End the wait and release the recording; from any thread, harmless a second time."""
        self._guard.close()


class LoopSource(Closing):
    """A `Source` that begins a recording again at its end; sequences and times go on."""

    def __init__(self, open_source: Callable[[], Source]) -> None:
        """
        Args:
            open_source: opens the recording at its beginning.

        Raises:
            LadleError: whatever the first opening raised.
        """
        self._open = open_source
        self._current = open_source()
        self._closed = False
        self.info: SourceInfo = replace(
            self._current.info, frames=None, duration_s=None, media=None
        )

    def __iter__(self) -> Iterator[Frame]:
        """Deliver frames until closed.

        Raises:
            InputError: a recording without frames, which would be opened again for ever.
        """
        sequence = 0
        shift = Fraction(0)
        base = self.info.time_base
        while True:
            first_s: Fraction | None = None
            last_s = Fraction(0)
            for frame in self._current:
                own_s = (
                    Fraction(frame.time_s)
                    if frame.pts is None
                    else frame.pts * (frame.time_base or base)
                )
                if first_s is None:
                    first_s = own_s
                last_s = own_s
                yield replace(
                    frame,
                    sequence=sequence,
                    pts=round((own_s + shift) / base),
                    time_base=base,
                )
                sequence += 1
            if self._closed:
                return
            if first_s is None:
                raise InputError("a recording without frames cannot be repeated")
            # The first frame of the next round comes one frame after the last of this one.
            shift += last_s - first_s + 1 / self.info.rate
            self._current.close()
            self._current = self._open()

    def close(self) -> None:
        """Release the recording; harmless a second time."""
        self._closed = True
        self._current.close()
