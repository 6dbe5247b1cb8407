"""A sink's own thread, whose death is not overlooked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger("ladle_rt")


class SinkThread:
    """Runs what a sink does beside the pipeline; an error that ends it reaches the next `check`.

    It is a daemon: a driver that hangs in it cannot keep the process alive.
    """

    def __init__(self, serve: Callable[[], None], name: str) -> None:
        """
        Args:
            serve: runs until the sink is closed; begins at once. A failure that should end this
                sink alone it raises as a `LadleError`, anything else is a bug.
            name: of the thread.
        """
        self._serve = serve
        self._error: BaseException | None = None
        self._raised = False
        self._thread = threading.Thread(target=self._guarded, name=name, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Return while all is well, or after an orderly end.

        Raises:
            Exception: what ended the thread, with its original traceback.
        """
        if self._error is not None:
            self._raised = True
            raise self._error

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for its end; an error that nobody was told of is logged."""
        self._thread.join(timeout_s)
        if self._error is not None and not self._raised:
            self._raised = True
            logger.error("%s: %s", self._thread.name, self._error, exc_info=self._error)

    def _guarded(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            self._error = error
