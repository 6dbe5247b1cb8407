"""Which of several servers a frame goes to, and how long all of them may be away."""

from __future__ import annotations

import logging
import threading
import time

from ladle_rt.addresses import ServerAddress
from ladle_rt.errors import BackendError

logger = logging.getLogger("ladle_rt.engine")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
"""Before a server that failed is asked again; doubled each time."""


class Server:
    """A server's state; changed under the pool's lock."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.checking = threading.Lock()
        """Held by who checks what it serves."""
        self.checked = False
        """Whether that was done since it last failed."""
        self.wait_s = 0.0
        """Before it is asked again; 0: it answers."""
        self.asked_again_s = 0.0
        """When, by `time.monotonic`."""


class ServerPool:
    """Servers, each up or waited for; used by many threads."""

    def __init__(self, addresses: list[ServerAddress], outage_s: float) -> None:
        """
        Args:
            addresses: of the servers.
            outage_s: how long all may be away.
        """
        self.servers = [Server(address) for address in addresses]
        self._outage_s = outage_s
        self._lock = threading.Lock()
        self._away_since_s: float | None = None
        """Since when no server has answered."""
        self._given_up = threading.Event()

    def candidates(self, home: int) -> list[Server]:
        """Servers to ask, in this order.

        One that was away comes first when its time has come, and for one thread only: the others
        must not wait for it too.

        Args:
            home: number of the server that the asking thread likes best; spreads the load.
        """
        turn = home % len(self.servers)
        order = self.servers[turn:] + self.servers[:turn]
        now = time.monotonic()
        with self._lock:
            again = [one for one in order if one.wait_s and one.asked_again_s <= now]
            for one in again:
                one.asked_again_s = now + one.wait_s
            return again + [one for one in order if not one.wait_s]

    def answered(self, server: Server) -> None:
        """A server is there."""
        with self._lock:
            self._away_since_s = None
            back = server.wait_s > 0
            server.wait_s = 0.0
        if back:
            logger.info("%s is back", server.address)

    def failed(self, server: Server, reason: Exception) -> None:
        """A server is not there, or not fit for use."""
        now = time.monotonic()
        with self._lock:
            if self._away_since_s is None:
                self._away_since_s = now
            news = not server.wait_s
            server.checked = False
            server.wait_s = min(max(FIRST_WAIT_S, 2 * server.wait_s), LONGEST_WAIT_S)
            server.asked_again_s = now + server.wait_s
            others = sum(not one.wait_s for one in self.servers)
        if news:
            then = f"{others} more go on" if others else f"waiting {self._outage_s:g} s at most"
            logger.warning("%s: %s; %s", server.address, reason, then)

    def wait(self, reason: Exception | None) -> None:
        """Until a server may be asked again.

        Raises:
            BackendError: all have been away for too long, or nobody wants to wait any more.
        """
        now = time.monotonic()
        with self._lock:
            since_s = now if self._away_since_s is None else self._away_since_s
            left_s = since_s + self._outage_s - now
            next_s = min(one.asked_again_s for one in self.servers) - now
        if left_s <= 0:
            places = ", ".join(str(one.address) for one in self.servers)
            raise BackendError(
                f"no server answered for {self._outage_s:g} s ({places}: {reason}); start one, or "
                "leave --backend out to translate on this machine"
            ) from reason
        if self._given_up.wait(max(0.0, min(next_s, left_s)) + 0.01):
            raise BackendError(f"no server answered before the end ({reason})") from reason

    def give_up(self) -> None:
        """End every `wait`, now and later."""
        self._given_up.set()
