"""Recordings that stay within their limits: the oldest go first, and the disk is never filled."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.serve.serve_config import StorageRule

logger = logging.getLogger("ladle_rt.serve")

SUFFIX = ".mkv"


@dataclass(frozen=True, slots=True)
class StorageState:
    """How the recordings stand."""

    bytes: int = 0
    """Of all recordings."""
    free_bytes: int = 0
    """Of the disk."""
    files: int = 0
    removed: int = 0
    """Files removed since the start."""
    problem: str | None = None
    """Why nothing is recorded, one line."""


class Storage:
    """Keeps the rule; every method may be called from any thread.

    Only files of the form ``FOLDER/CAMERA/*.mkv`` are ever removed, and none that is written to.
    """

    def __init__(
        self,
        rule: StorageRule,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        """
        Args:
            rule: what to keep.
            free_bytes: of the disk that a folder is on.
        """
        self.rule = rule
        """May be replaced at any moment."""
        self._free_bytes = free_bytes
        self._open: set[Path] = set()
        self._lock = threading.Lock()
        self.state = StorageState()

    def opened(self, path: Path) -> None:
        """A recording has begun."""
        with self._lock:
            self._open.add(path)

    def closed(self, path: Path) -> None:
        """It is finished, and may be removed."""
        with self._lock:
            self._open.discard(path)

    def tidy(self) -> None:
        """Remove what the rule does not keep, and see whether there is room to record.

        Nothing is raised: a disk that cannot be read is a problem like one that is full.
        """
        rule, removed = self.rule, 0
        try:
            rule.folder.mkdir(parents=True, exist_ok=True)
            with self._lock:
                writing = set(self._open)
            found = sorted(_recordings(rule.folder))
            total = sum(size for _, size, _ in found)
            free = self._free_bytes(rule.folder)
            now_s = time.time()
            for changed_s, size, path in found:
                if path in writing:
                    continue
                old = rule.max_days is not None and now_s - changed_s > rule.max_days * 86_400
                large = rule.max_gb is not None and total > rule.max_gb * 1e9
                tight = free < rule.min_free_gb * 1e9
                if not (old or large or tight):
                    break
                path.unlink(missing_ok=True)
                total, free, removed = total - size, free + size, removed + 1
            free = self._free_bytes(rule.folder)
        except OSError as error:
            self._report(StorageState(problem=f"{rule.folder}: {error.strerror or error}"), removed)
            return
        problem = None
        if free < rule.min_free_gb * 1e9:
            problem = (
                f"{rule.folder}: {free / 1e9:.1f} GB free, less than min_free_gb = "
                f"{rule.min_free_gb:g}; nothing is recorded"
            )
        elif rule.max_gb is not None and total > rule.max_gb * 1e9:
            problem = (
                f"{rule.folder}: recordings of {total / 1e9:.1f} GB are still written, more than "
                f"max_gb = {rule.max_gb:g}; nothing more is recorded"
            )
        self._report(StorageState(total, free, len(found) - removed, problem=problem), removed)

    def _report(self, state: StorageState, removed: int) -> None:
        before = self.state
        self.state = StorageState(
            state.bytes, state.free_bytes, state.files, before.removed + removed, state.problem
        )
        if state.problem is not None and before.problem is None:
            logger.error("%s", state.problem)
        elif state.problem is None and before.problem is not None:
            logger.warning("recording again: there is room in %s", self.rule.folder)


def _recordings(folder: Path) -> list[tuple[float, int, Path]]:
    """Time of the last change, bytes and path of every recording."""
    found = []
    for path in folder.glob(f"*/*{SUFFIX}"):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        found.append((facts.st_mtime, facts.st_size, path))
    return found
