"""What a person at a window or a page can have kept: recordings and snapshots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from ladle_rt.errors import LadleError, OutputError
from ladle_rt.frames import Picture, PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import Sink
from ladle_rt.sinks.convert import to_rgb
from ladle_rt.sinks.images import write_png


class Recorder:
    """A `Sink` that keeps nothing until it is told to, and the `Controls` that tell it.

    A recording that fails ends alone; the stream goes on.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(
        self, folder: Path, open_video: Callable[[Path], Sink], stop: threading.Event
    ) -> None:
        """
        Args:
            folder: where files go; made when the first one comes.
            open_video: makes the sink of one recording.
            stop: set by `quit`.
        """
        self._folder = folder
        self._open_video = open_video
        self._stop = stop
        self._lock = threading.Lock()
        self._newest: Picture | None = None
        self._recording: tuple[Path, Sink] | None = None
        self.problem: str | None = None
        """Why the last recording ended early."""

    def write(self, translated: TranslatedFrame) -> None:
        """Keep the picture at hand and, while recording, in the file."""
        with self._lock:
            self._newest = translated.picture
            if self._recording is None:
                return
            try:
                self._recording[1].write(translated)
            except LadleError as error:
                self.problem = str(error)
                self._recording[1].abort()
                self._recording = None

    def close(self) -> None:
        """Finish a recording that runs; no more can be started.

        Raises:
            OutputError: it cannot be finished.
        """
        self.record(False)

    def abort(self) -> None:
        """Finish a recording that runs: what was recorded on request is kept."""
        try:
            self.record(False)
        except OutputError as error:
            self.problem = str(error)

    @property
    def recording(self) -> Path | None:
        """The file being recorded now."""
        current = self._recording
        return None if current is None else current[0]

    def record(self, on: bool) -> Path | None:
        """Start or stop recording; see `Controls.record`."""
        with self._lock:
            if on == (self._recording is not None):
                return None
            if on:
                path = self._name(".mkv")
                self._recording = path, self._open_video(path)
                self.problem = None
                return path
            assert self._recording is not None
            (path, sink), self._recording = self._recording, None
            sink.close()
            return path

    def snapshot(self) -> Path:
        """Save the newest picture; see `Controls.snapshot`."""
        picture = self._newest
        if picture is None:
            raise OutputError("no picture yet; wait for the first frame")
        path = self._name(".png")
        rgb = to_rgb(picture)
        write_png(path, Picture("rgb24", rgb, rgb.shape[1], rgb.shape[0]))
        return path

    def quit(self) -> None:
        """End the stream in an orderly way."""
        self._stop.set()

    def _name(self, suffix: str) -> Path:
        """A new file, named by the time of day."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self._folder}: cannot be made ({error.strerror})") from error
        stem = f"ladle-{time.strftime('%Y%m%d-%H%M%S')}"
        path = self._folder / f"{stem}{suffix}"
        number = 1
        while path.exists():
            number += 1
            path = self._folder / f"{stem}-{number}{suffix}"
        return path
