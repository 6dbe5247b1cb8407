"""Encoders may not make the process a real-time one.

SVT-AV1, run as root, puts the thread that opens it and all of its own under SCHED_FIFO at the
highest priority, and leaves them there: one busy thread per core then starves everything else on
the machine, and every program started afterwards inherits it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

GREEDY_ENCODERS = {"libsvtav1"}
"""FFmpeg encoders that make themselves real-time."""
TASKS = Path("/proc/self/task")


class OrdinaryScheduling:
    """Remembers which threads are real-time; `restore` gives the others theirs back."""

    def __init__(self) -> None:
        self._before = _realtime_threads()

    def restore(self) -> None:
        """Undo what happened since; after each frame, because threads come with later ones."""
        for thread in _realtime_threads() - self._before:
            # It may have ended.
            with suppress(OSError):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _realtime_threads() -> set[int]:
    """Thread numbers of this process under SCHED_FIFO or SCHED_RR; empty where not Linux."""
    if not TASKS.is_dir():
        return set()
    found = set()
    for thread in (int(path.name) for path in TASKS.iterdir()):
        with suppress(OSError):
            if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(thread)
    return found
