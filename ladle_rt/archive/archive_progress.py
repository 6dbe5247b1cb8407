"""How far an archive is, for a person at a terminal."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from ladle_rt.closing import Closing


class ArchiveBar(Closing):
    """Bytes of recordings that are done, frames, and time left; silent without a terminal.

    By bytes, because they are known at once for the whole archive, and frames are not.
    """

    def __init__(self, stream: TextIO) -> None:
        """
        Args:
            stream: where to draw, normally standard error.
        """
        self._progress = Progress(
            TextColumn("archive"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[frames]} frames"),
            # Segments end seldom: an hour of them says more than the usual half minute.
            TimeRemainingColumn(),
            speed_estimate_period=3600,
            console=Console(file=stream),
            disable=not stream.isatty(),
            transient=True,
        )
        self._task = self._progress.add_task("archive", total=None, frames=0)
        self._progress.start()

    def update(self, done: float, total: int, frames: int) -> None:
        """For `ladle_rt.archive.run_archive.run_archive`."""
        self._progress.update(self._task, completed=done, total=total, frames=frames)

    def close(self) -> None:
        """Take it off the terminal."""
        self._progress.stop()
