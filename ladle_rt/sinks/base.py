"""What every sink offers to the pipeline."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ladle_rt.frames import PixelFormat, TranslatedFrame


@runtime_checkable
class Sink(Protocol):
    """Takes colour pictures in order, from one thread, and publishes all of them or nothing."""

    @property
    def pixel_format(self) -> PixelFormat:
        """The layout of `Picture.data` that this sink takes."""

    def write(self, translated: TranslatedFrame) -> None:
        """Take one picture; the sink may read it until `close` and never writes to it.

        Raises:
            OutputError: it cannot be written.
        """

    def close(self) -> None:
        """Finish and publish what was written; calling it twice is harmless.

        Raises:
            OutputError: it cannot be published; nothing was left behind.
        """

    def abort(self) -> None:
        """Leave nothing behind; harmless after `close` or a second time."""
