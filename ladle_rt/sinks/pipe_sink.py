"""Raw pictures into a named pipe, for any other program: header, pixels, header, pixels, ..."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Mapping
from pathlib import Path

from ladle_rt.errors import OutputError
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.newest_slot import NewestSlot
from ladle_rt.sinks.picture_header import describe
from ladle_rt.sinks.sink_thread import SinkThread

OPEN_EVERY_S = 0.1
WRITE_TIMEOUT_S = 0.5
CLOSE_TIMEOUT_S = 2.0


class PipeSink:
    """A FIFO; a reader that is slow or absent misses whole pictures and never holds anybody up.

    See `ladle_rt.sinks.picture_header.HEADER` for what a reader finds.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: an existing FIFO, or where one is made; one that was made is removed at the end.

        Raises:
            OutputError: something else lies there, or none can be made.
        """
        self._path = path
        self._made = False
        try:
            if not path.exists():
                os.mkfifo(path)
                self._made = True
            elif not stat.S_ISFIFO(path.stat().st_mode):
                raise OutputError(f"{path}: expected a named pipe or a free name, found a file")
        except OutputError:
            raise
        except OSError as error:
            raise OutputError(f"{path}: no named pipe can be made ({error.strerror})") from error
        self._slot = NewestSlot()
        self._thread = SinkThread(self._serve, "pipe")

    def write(self, translated: TranslatedFrame) -> None:
        """Hand over one picture; returns at once.

        Raises:
            OutputError: the pipe cannot be written any more.
        """
        self._thread.check()
        self._slot.put(translated)

    @property
    def skipped(self) -> Mapping[str, int]:
        """Pictures that no reader got."""
        return {str(self._path): self._slot.missed}

    def close(self) -> None:
        """Let the reader see the end; calling it twice is harmless."""
        self._slot.close()
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._made:
            self._path.unlink(missing_ok=True)

    def abort(self) -> None:
        """The same."""
        self.close()

    def _serve(self) -> None:
        while not self._slot.closed:
            try:
                # Without a reader a FIFO cannot be opened for writing, and says so at once.
                pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                self._slot.pause(OPEN_EVERY_S)
                continue
            try:
                self._feed(pipe)
            except OSError as error:
                self._slot.lost()
                if error.errno not in (errno.EPIPE, errno.ETIMEDOUT):
                    raise OutputError(
                        f"{self._path}: cannot be written ({error.strerror})"
                    ) from error
            finally:
                os.close(pipe)

    def _feed(self, pipe: int) -> None:
        while (picture := self._slot.take()) is not None:
            self._push(pipe, describe(picture) + picture.picture.data.tobytes())

    def _push(self, pipe: int, data: bytes) -> None:
        """Write all of it: half a picture would put the reader out of step."""
        view = memoryview(data)
        while view:
            _, ready, _ = select.select([], [pipe], [], WRITE_TIMEOUT_S)
            if ready:
                view = view[os.write(pipe, view[:65_536]) :]
            elif self._slot.closed:
                raise OSError(errno.ETIMEDOUT, "the reader takes nothing")


def open_pipe(path: Path, context: SinkContext) -> PipeSink:
    """See `ladle_rt.sinks.select`; every picture brings its own header."""
    return PipeSink(path)
