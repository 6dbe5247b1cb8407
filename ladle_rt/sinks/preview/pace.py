"""How often viewers are sent something, so that a crowd of them takes a bounded part of a core."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

BYTES_PER_S = 32e6
"""That all viewers get together."""
CPU_SHARE = 0.15
"""Of one core, for everything that the server's thread does; a slow machine sends less instead of
taking longer."""
WINDOW_S = 1.0
"""Over which that share is measured."""
LONGEST_S = 5.0
"""Between two parts for one viewer, however many there are; a crowd on a slow machine still sees
that the stream lives."""


class Pace:
    """Of all viewers of one kind; belongs to the server's event loop."""

    def __init__(
        self,
        parts_per_s: float,
        per_viewer: float = float("inf"),
        cpu_s: Callable[[], float] = time.thread_time,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            parts_per_s: that all viewers get together, at most.
            per_viewer: parts per second of one viewer, at most.
            cpu_s: seconds of processor time that the calling thread has used.
            clock_s: seconds that have passed.
        """
        self.parts_per_s, self.per_viewer = parts_per_s, per_viewer
        self.watching = 0
        self.parts = self.bytes = 0
        """Sent so far."""
        self._cpu_s, self._clock_s = cpu_s, clock_s
        self._since_s, self._used_s = clock_s(), cpu_s()
        self._slower, self._size = 1.0, 0

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """While one more viewer is sent parts."""
        self.watching += 1
        try:
            yield
        finally:
            self.watching -= 1

    def sent(self, size: int) -> None:
        """Count a part of so many bytes that went to one viewer."""
        self.parts += 1
        self.bytes += size
        self._size = size

    @property
    def interval_s(self) -> float:
        """Between two parts for one viewer."""
        fair_s = self.watching * max(1 / self.parts_per_s, self._size / BYTES_PER_S)
        least_s = max(1 / self.per_viewer, fair_s)
        self._adapt(LONGEST_S / least_s if least_s else 1.0)
        return min(least_s * self._slower, max(least_s, LONGEST_S))

    def _adapt(self, most: float) -> None:
        """What the thread uses of a core is in proportion to what it sends."""
        passed_s = self._clock_s() - self._since_s
        if passed_s < WINDOW_S:
            return
        share = (self._cpu_s() - self._used_s) / passed_s
        self._since_s, self._used_s = self._clock_s(), self._cpu_s()
        change = min(max(share / CPU_SHARE, 0.5), 2.0)
        self._slower = max(min(self._slower * change, most), 1.0)
