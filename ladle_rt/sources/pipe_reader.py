"""Standard input and named pipes: read once, front to back, by whoever can be told to stop.

FFmpeg's own reads of a pipe hang until its writer does something; these end when told to.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from ladle_rt.errors import InputError

STANDARD = Path("-")
"""How standard input is written."""


def is_pipe(path: Path) -> bool:
    """Whether what is there can only be read once."""
    return path == STANDARD or path.is_fifo()


class PipeReader:
    """A file for `av.open` that cannot seek; `stop` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: `STANDARD` or a FIFO, which is opened here and never again; a writer may come
                later.

        Raises:
            InputError: no permission, or standard input is a terminal or closed.
        """
        self.name = str(path)
        try:
            if path == STANDARD:
                if sys.stdin is None or sys.stdin.isatty():
                    raise InputError("-: expected a video on standard input, found a terminal")
                self._descriptor = os.dup(sys.stdin.fileno())
            else:
                self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: cannot be read ({error})") from error
        self._woken, self._wake = os.pipe()
        self._stopped = self._closed = False

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; none at the end, or once it was told to stop."""
        if os.name != "nt":  # Windows cannot wait for pipes.
            select.select([self._descriptor, self._woken], [], [])
        if self._stopped:
            return b""
        return os.read(self._descriptor, size)

    def stop(self) -> None:
        """End a read that is going on, and all later ones."""
        if not self._stopped:
            self._stopped = True
            os.write(self._wake, b"x")

    def close(self) -> None:
        """Release the pipe; harmless a second time. Nobody may be reading."""
        if not self._closed:
            self._closed = self._stopped = True
            for descriptor in (self._descriptor, self._woken, self._wake):
                os.close(descriptor)
