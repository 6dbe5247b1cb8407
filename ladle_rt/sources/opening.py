"""Opening that can be ended, and that waits for a source which is not there yet."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ladle_rt.errors import FalseColourError, InputError, StoppedError
from ladle_rt.sources.base import Source
from ladle_rt.sources.reconnect import Backoff

logger = logging.getLogger("ladle_rt.stream")

TICK_S = 0.1
"""How often the caller looks up; signal handlers only run in its thread."""


S = TypeVar("S", bound=Source)


def open_patiently(open_one: Callable[[], S], wait: bool, stop: threading.Event) -> S:
    """Open a source in a thread of its own, so that a call that hangs can be left behind.

    Args:
        open_one: opens it.
        wait: whether to try again after an `InputError`, until it works.
        stop: ends it.

    Raises:
        StoppedError: ``stop`` was set.
        Exception: what the only attempt raised.
    """
    backoff, attempt = Backoff(), 0
    while True:
        try:
            return _open_once(open_one, stop)
        except (FalseColourError, StoppedError):
            raise
        except InputError as error:
            if not wait:
                raise
            if attempt == 0:
                logger.warning("%s; waiting for it", error)
        if stop.wait(backoff.wait_s(attempt)):
            raise StoppedError("stopped before the source was there")
        attempt += 1


def _open_once(open_one: Callable[[], S], stop: threading.Event) -> S:
    attempt = _Attempt(open_one)
    while not attempt.done.wait(TICK_S):
        if stop.is_set():
            attempt.leave()
            raise StoppedError("stopped before the source was open")
    if attempt.error is not None:
        raise attempt.error
    assert attempt.source is not None
    return attempt.source


class _Attempt(Generic[S]):
    def __init__(self, open_one: Callable[[], S]) -> None:
        self.source: S | None = None
        self.error: BaseException | None = None
        self.done = threading.Event()
        self._open = open_one
        self._ending = threading.Lock()
        self._left = False
        threading.Thread(target=self._work, name="open", daemon=True).start()

    def leave(self) -> None:
        """Nobody waits any more: what still opens is closed."""
        with self._ending:
            self._left = True
            if self.source is not None:
                self.source.close()

    def _work(self) -> None:
        try:
            source = self._open()
        except BaseException as error:
            self.error = error
        else:
            with self._ending:
                self.source = source
                if self._left:
                    source.close()
        self.done.set()
