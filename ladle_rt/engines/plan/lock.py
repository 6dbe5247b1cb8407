"""One builder at a time per plan, across processes; a killed one leaves no lock behind."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ladle_rt.errors import OutputError


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], object]) -> Iterator[None]:
    """Hold the lock file ``path``; the operating system lets go of it when the process ends.

    Args:
        path: created if missing, removed at the end.
        on_wait: called once if another process holds it.

    Raises:
        OutputError: the lock file cannot be made.
    """
    while True:
        try:
            stream = path.open("a")
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot write here ({error.strerror})") from error
        with stream:
            if not _take(stream, wait=False):
                on_wait()
                _take(stream, wait=True)
            if not _is_at(stream, path):
                continue  # the former holder removed the file: lock the one that is there now
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # Windows keeps open files
                    path.unlink()
            return


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock file ``path``."""
    try:
        with path.open("r+") as stream:
            return not _take(stream, wait=False)
    except OSError:
        return False


def _is_at(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _take(stream: IO[str], wait: bool) -> bool:
    """Lock an open file; closing it lets go."""
    try:
        if os.name == "nt":
            msvcrt = importlib.import_module("msvcrt")
            stream.seek(0)
            # LK_LOCK gives up after ten seconds, so it is asked again.
            while True:
                try:
                    mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK
                    msvcrt.locking(stream.fileno(), mode, 1)
                    return True
                except OSError:
                    if not wait:
                        raise
        fcntl = importlib.import_module("fcntl")
        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
