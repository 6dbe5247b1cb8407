"""One builder at a time per plan, across processes; a killed one leaves no lock behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

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
    lock = FileLock(path)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            on_wait()
            lock.acquire()
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot write here ({error.strerror})") from error
    try:
        yield
    finally:
        # While it is held: who waits for it sees that the file is gone, and makes a new one.
        with contextlib.suppress(OSError):  # Windows keeps open files
            path.unlink()
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock file ``path``."""
    if not path.exists():
        return False
    # Asking must not remove what a killed build left: pruning names it first.
    lock = FileLock(path, preserve_lock_file=True)
    try:
        with lock.acquire(blocking=False):
            return False
    except Timeout:
        return True
    except OSError:
        return False
