"""What a person at a window or a page can have kept: recordings and snapshots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from ladle_rt.colour import to_rgb
from ladle_rt.errors import LadleError, OutputError
from ladle_rt.frames import Picture, PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import Sink
from ladle_rt.sinks.png import write_png


class Recorder:
    """A `Sink` that keeps nothing until it is told to, and the `Controls` that tell it.

    A recording that fails ends alone; the stream goes on. Files are opened and finished in the
    thread that asks for it: neither holds up the next picture.
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
        self._switching = threading.Lock()
        """Held while a recording is started or finished."""
        self._lock = threading.Lock()
        """Held while a picture is written; never while a file is opened or finished."""
        self._closed = False
        self._newest: TranslatedFrame | None = None
        self._recording: tuple[Path, Sink] | None = None
        self.problem: str | None = None
        """Why the last recording ended early."""

    def write(self, translated: TranslatedFrame) -> None:
        """Keep the picture at hand and, while recording, in the file."""
        with self._lock:
            self._newest = translated
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
        with self._switching:
            self._closed = True
            self._finish()

    def abort(self) -> None:
        """Finish a recording that runs: what was recorded on request is kept."""
        try:
            self.close()
        except OutputError as error:
            self.problem = str(error)

    @property
    def recording(self) -> Path | None:
        """The file being recorded now."""
        current = self._recording
        return None if current is None else current[0]

    def record(self, on: bool) -> Path | None:
        """Start or stop recording; see `Controls.record`."""
        with self._switching:
            return self._start() if on else self._finish()

    def snapshot(self) -> Path:
        """Save the newest picture; see `Controls.snapshot`."""
        newest = self._newest
        if newest is None:
            raise OutputError("no picture yet; wait for the first frame")
        path = self._name(".png")
        rgb = to_rgb(newest.picture)
        write_png(path, Picture("rgb24", rgb, rgb.shape[1], rgb.shape[0]))
        return path

    def quit(self) -> None:
        """End the stream in an orderly way."""
        self._stop.set()

    def _start(self) -> Path | None:
        if self._closed or self._recording is not None:
            return None
        path = self._name(".mkv")
        sink = self._open_video(path)
        newest = self._newest
        if newest is not None:
            # The encoder opens at its first picture, which takes long: here, not at the next one.
            try:
                sink.write(newest)
            except BaseException:
                sink.abort()
                raise
        with self._lock:
            self.problem = None
            self._recording = path, sink
        return path

    def _finish(self) -> Path | None:
        with self._lock:
            recording, self._recording = self._recording, None
        if recording is None:
            return None
        path, sink = recording
        sink.close()
        return path

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
