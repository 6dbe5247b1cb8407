"""One waiting picture between the pipeline and a thread that may be slow."""

from __future__ import annotations

import threading

from ladle_rt.frames import TranslatedFrame


class NewestSlot:
    """Holds the newest picture until somebody takes it; older ones are missed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: TranslatedFrame | None = None
        self.closed = False
        """No more pictures come."""
        self.missed = 0
        """Pictures that were replaced before they were taken, or `lost` after."""

    def put(self, translated: TranslatedFrame) -> None:
        """Make a picture the newest; never waits."""
        with self._changed:
            self.missed += self._newest is not None
            self._newest = translated
            self._changed.notify()

    def take(self) -> TranslatedFrame | None:
        """Wait for a picture; ``None`` after the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._newest is not None)
            picture, self._newest = self._newest, None
            return picture

    def lost(self) -> None:
        """Say that the picture taken last did not arrive."""
        with self._changed:
            self.missed += 1

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed, seconds)

    def close(self) -> None:
        """Say that no more pictures come; a waiting one can still be taken."""
        with self._changed:
            self.closed = True
            self._changed.notify()
