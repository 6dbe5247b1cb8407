"""Serve the cameras of a file until told to stop, and follow the file as it is edited."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from ladle_rt.frame_stats import FrameStats
from ladle_rt.serve.serve_config import load_config
from ladle_rt.serve.supervisor import Supervisor

logger = logging.getLogger("ladle_rt.serve")

TICK_S = 0.5
"""How often the file is looked at."""


class FileWatch:
    """Whether a file is another than before and has come to rest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._taken = self._look()

    def changed(self) -> bool:
        """True once for each change, when two looks in a row see the same: editors write in
        steps."""
        before, self._seen = self._seen, self._look()
        if self._seen == self._taken or self._seen != before:
            return False
        self._taken = self._seen
        return True

    def _look(self) -> tuple[int, int, int] | None:
        try:
            facts = self._path.stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_size, facts.st_ino


def serve_file(
    path: Path,
    *,
    stop: threading.Event,
    reload: threading.Event,
    notify: Callable[[str], None],
    token: str | None = None,
) -> dict[str, FrameStats]:
    """Run the cameras of a file.

    Args:
        path: see `ladle_rt.serve.serve_config`.
        stop: ends all in an orderly way.
        reload: when set, the file is read again at once; an edit is seen without it too.
        notify: gets lines for people, such as the page's address.
        token: what the page asks for; ``None``: what the file says.

    Returns:
        The figures of the cameras that ran last.

    Raises:
        LadleError: the file, the page or a model cannot be used.
    """
    watch = FileWatch(path)
    supervisor = Supervisor(load_config(path), notify, token)
    with supervisor:
        while not stop.wait(TICK_S):
            changed = watch.changed()
            if reload.is_set() or changed:
                reload.clear()
                supervisor.reload(path)
    return supervisor.figures()
