"""Closing from another thread, but never under the hands of the one that reads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class CloseGuard:
    """Closes at once what nobody uses, and otherwise when its user is done with it.

    FFmpeg's contexts and mapped driver buffers must not be freed while a call works on them.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        """
        Args:
            close: harmless a second time.
        """
        self._close = close
        self._in_use = threading.Lock()
        self.closing = threading.Event()
        """Set by `close`; the user looks at it, or waits for it, between two steps."""

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """Keep it open inside."""
        self._in_use.acquire()
        try:
            yield
        finally:
            self._in_use.release()
            if self.closing.is_set():
                self._close_if_free()

    def close(self) -> None:
        """Close now or at the end of `using`; returns at once, from any thread."""
        self.closing.set()
        self._close_if_free()

    def _close_if_free(self) -> None:
        if self._in_use.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._in_use.release()
