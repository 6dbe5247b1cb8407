"""Several sinks as one; one that fails does not take the others with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ladle_rt.errors import LadleError, OutputError
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import Sink, skipped_by

logger = logging.getLogger("ladle_rt")


class FanOut:
    """Gives every picture to every sink, in the order they were given.

    A sink that refuses a picture is aborted and left out from then on; the last one that shows
    or keeps pictures by itself raises instead, because nobody would see them any more.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        """
        Args:
            sinks: they belong to this object.
        """
        self._sinks = list(sinks)
        self._all = list(sinks)
        self._idle: list[Sink] = []
        self.failures: list[str] = []
        """What ended sinks early, one line each."""

    def add(self, sink: Sink, idle: bool = False) -> None:
        """Take one more, before the first picture.

        Args:
            sink: belongs to this object from now on.
            idle: it does nothing of its own accord, as a recorder that waits for a key: no reason
                to go on when all others have failed.
        """
        self._sinks.append(sink)
        self._all.append(sink)
        if idle:
            self._idle.append(sink)

    @property
    def skipped(self) -> Mapping[str, int]:
        """Of all sinks, those that ended early included; see `SkippingSink.skipped`."""
        return {name: count for sink in self._all for name, count in skipped_by(sink).items()}

    def write(self, translated: TranslatedFrame) -> None:
        """Give the picture to each sink.

        Raises:
            LadleError: the last sink that counts failed.
        """
        for sink in list(self._sinks):
            try:
                sink.write(translated)
            except LadleError as error:
                self._lose(sink, error)

    def close(self) -> None:
        """Publish what each holds.

        Raises:
            OutputError: one or more could not be published; the others were.
        """
        failures = []
        for sink in self._sinks:
            try:
                sink.close()
            except LadleError as error:
                failures.append(str(error))
        self._sinks.clear()
        if failures:
            raise OutputError("; ".join(failures))

    def abort(self) -> None:
        """Abort each."""
        for sink in self._sinks:
            sink.abort()
        self._sinks.clear()

    def _lose(self, sink: Sink, error: LadleError) -> None:
        if all(one is sink or one in self._idle for one in self._sinks):
            raise error
        sink.abort()
        self._sinks.remove(sink)
        self.failures.append(str(error))
        logger.error("%s; going on without it", error)
