"""What a person watching a job wants to know."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ladle_rt.closing import Closing
from ladle_rt.frame_stats import FrameStats

UPDATE_S = 0.1
"""Frames come faster than a terminal needs to hear of."""


class ProgressBar(Closing):
    """A bar with frames per second and time left, on a terminal; silent elsewhere."""

    def __init__(self, stream: TextIO, label: str) -> None:
        """
        Args:
            stream: where to draw, normally standard error.
            label: the words before the bar.
        """
        self._shown = stream.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed} frames, {task.fields[rate]:.1f} fps"),
            TimeRemainingColumn(),
            console=Console(file=stream),
            disable=not self._shown,
            transient=True,
        )
        self._task = self._progress.add_task(label, total=None, rate=0.0)
        self._progress.start()
        self._updated_s = 0.0

    @property
    def callback(self) -> Callable[[FrameStats, int | None], None] | None:
        """For `ladle_rt.translate_video`; ``None`` where nothing is drawn."""
        return self._update if self._shown else None

    @property
    def counter(self) -> Callable[[int, int], None] | None:
        """For `ladle_rt.translate_images`: told how many are done, and of how many."""
        return self._count if self._shown else None

    def _count(self, done: int, expected: int) -> None:
        (task,) = self._progress.tasks
        rate = done / task.elapsed if task.elapsed else 0.0
        self._progress.update(self._task, total=expected, completed=done, rate=rate)

    def _update(self, statistics: FrameStats, expected: int | None) -> None:
        now_s = time.monotonic()
        if now_s - self._updated_s < UPDATE_S:
            return
        self._updated_s = now_s
        self._progress.update(
            self._task,
            total=expected,
            completed=statistics.presented,
            rate=statistics.frames_per_second,
        )

    def close(self) -> None:
        """Take it off the terminal."""
        self._progress.stop()
