"""Ctrl-C and termination as an orderly end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""Not on Windows."""


@contextlib.contextmanager
def stop_on_signals(hang_up: threading.Event | None = None) -> Iterator[threading.Event]:
    """Give an event that SIGINT, SIGTERM or SIGHUP sets; a second SIGINT raises an interrupt.

    SIGHUP comes when the terminal is closed; where it is ignored (``nohup``) it stays ignored.
    Must be entered in the main thread; the handlers found are put back at the end.

    Args:
        hang_up: what SIGHUP sets instead, ignored before or not: services read their
            configuration again then.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if hang_up is not None and number == _HANG_UP:
            hang_up.set()
        else:
            stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if _HANG_UP is not None and (
        hang_up is not None or signal.getsignal(_HANG_UP) != signal.SIG_IGN
    ):
        numbers.append(_HANG_UP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
