"""Every frame's way as a Chrome trace, for ui.perfetto.dev or chrome://tracing.

Trace Event Format, JSON array: complete events ("X") per stage, one row each, and instants for
dropped frames. Times are microseconds of the monotonic clock.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from ladle_rt import files
from ladle_rt.errors import OutputError
from ladle_rt.pipeline.frame_counter import STAGES, FrameTimes

logger = logging.getLogger("ladle_rt.stream")

MOST_EVENTS = 1_000_000
"""About 100 MB and 2 hours of 30 frames per second; viewers take no more."""


class Trace:
    """A `Listener` that writes the file as frames end; it appears, whole, at the end."""

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        """
        Raises:
            OutputError: the file cannot be written here.
        """
        files.check_target(path, overwrite=overwrite)
        self._path, self._overwrite = path, overwrite
        self._lock = threading.Lock()
        self._temporary = files.temporary_beside(path)
        self._file = self._temporary.open("w", encoding="utf-8")
        self._events = 0
        self._full = False
        self._file.write("[")
        for row, name in enumerate(STAGES):
            self._event("thread_name", "M", row, 0, args={"name": name})

    def presented(self, times: FrameTimes) -> None:
        """Write the stages of a presented frame."""
        args = {"frame": times.frame.sequence}
        if times.hold is not None:
            args["held"] = times.hold  # type: ignore[assignment]
        with self._lock:
            for row, (start, end) in enumerate(times.spans_ns):
                self._event(STAGES[row], "X", row, start, dur=(end - start) / 1e3, args=args)

    def dropped(self, times: FrameTimes, reason: str) -> None:
        """Write that a frame was given up."""
        args = {"frame": times.frame.sequence}
        with self._lock:
            self._event(f"dropped: {reason}", "i", 0, times.captured_ns, s="t", args=args)

    def close(self) -> None:
        """Put the file in place.

        Raises:
            OutputError: it could not be written.
        """
        with self._lock:
            if self._file.closed:
                return
            self._full = True
            try:
                self._file.write("]\n")
                self._file.close()
            except OSError as error:
                files.discard(self._temporary)
                raise OutputError(
                    f"{self._path}: cannot be written ({error.strerror}); nothing was left behind"
                ) from error
        files.publish(self._temporary, self._path, overwrite=self._overwrite)

    def __enter__(self) -> Trace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except OutputError as lost:
            if error is None:
                raise
            # What ended the stream is the news, not the trace that went with it.
            logger.error("%s", lost)

    def _event(self, name: str, phase: str, row: int, start_ns: int, **fields: Any) -> None:
        if self._full:
            return
        event = {"name": name, "ph": phase, "pid": 1, "tid": row, "ts": start_ns / 1e3, **fields}
        try:
            self._file.write(",\n" * (self._events > 0) + json.dumps(event))
        except OSError:
            # A full disk ends the trace, not the stream; `close` tells.
            self._full = True
        self._events += 1
        self._full |= self._events >= MOST_EVENTS
