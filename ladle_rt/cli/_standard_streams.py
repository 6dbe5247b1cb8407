"""Standard streams that are closed, or whose reader has gone."""

from __future__ import annotations

import contextlib
import io
import os
import sys


class _Forgiving(io.TextIOWrapper):
    """Standard error: what nobody can read any more is no reason to stop the work."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def keep_standard_streams() -> None:
    """Open what is closed on the null device, and let standard error forgive a lost reader.

    Otherwise the next file that is opened would get the number of standard error, and what
    libraries say would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system gives the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, "r", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is not sys.__stderr__:
        return  # Somebody else's, who looks after it.
    buffer = os.fdopen(2, "wb", closefd=False) if sys.stderr is None else sys.stderr.buffer
    sys.stderr = _Forgiving(
        buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
    )
