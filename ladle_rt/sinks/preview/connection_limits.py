"""How much of the machine connections may take, so that no visitor can end the stream.

A connection is for one request. Whoever does not send it in time, sends too much, or does not
take the answer, is cut off; where too many wait, the one that waited longest makes room.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from ladle_rt.sinks.preview.pace import Pace

MOST_CONNECTIONS = 512
SEND_BUFFER = 256 * 1024
"""Bytes that the system holds back for a slow viewer: the older they get, the later it sees."""
PICTURES_PER_S, EVENTS_PER_S = 600.0, 200.0
HIGHEST_RATE = 30.0
"""Pictures per second of one viewer."""
ENDING = b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable" + ENDING
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large" + ENDING


def _affordable() -> int:
    """Half of the files this process may open: the other half is for the stream."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows has no such limit.
        return MOST_CONNECTIONS
    soft: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_CONNECTIONS if soft < 0 else min(MOST_CONNECTIONS, soft // 2)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a visitor may take."""

    connections: int = field(default_factory=_affordable)
    """Open at a time."""
    request_s: float = 10.0
    """Until the head of the request is there."""
    request_bytes: int = 16_384
    """Head and body."""
    answer_s: float = 30.0
    """Until an answer that has an end was taken."""
    viewer_s: float = 10.0
    """How long a viewer may take nothing of what comes next."""

    @property
    def accepted_at_once(self) -> int:
        """Connections that may come before the first of them is counted."""
        return max(1, self.connections // 8)


class Connections:
    """Makes the protocol of every connection; belongs to the page's event loop."""

    def __init__(self, limits: ConnectionLimits) -> None:
        """
        Args:
            limits: what each may take.
        """
        self.limits = limits
        self.make_protocol: Callable[[], asyncio.Protocol] = asyncio.Protocol
        """Makes the one that speaks HTTP; set before the first connection."""
        self.picture_pace = Pace(PICTURES_PER_S, HIGHEST_RATE)
        self.event_pace = Pace(EVENTS_PER_S)
        """What all viewers get together: many get less each, so that sending never takes the time
        that translating needs."""
        self._open: dict[asyncio.BaseTransport, _Connection] = {}

    def __call__(self) -> asyncio.Protocol:
        """For the next connection."""
        return _Connection(self)

    @web.middleware
    async def admit(
        self, request: web.Request, handler: Callable[..., object]
    ) -> web.StreamResponse:
        """The middleware that tells when a request is complete."""
        self._allow(request, self.limits.answer_s)
        return await handler(request)  # type: ignore[misc,no-any-return]

    def endless(self, request: web.Request) -> None:
        """The answer has no end; whoever writes it looks after the viewer."""
        self._allow(request, None)

    def _allow(self, request: web.Request, seconds: float | None) -> None:
        connection = None if request.transport is None else self._open.get(request.transport)
        if connection is not None:
            connection.asked = True
            connection.wait(seconds)

    def add(self, connection: _Connection) -> bool:
        """Take it, and let another one go where that is needed.

        Returns:
            Whether there was room.
        """
        if len(self._open) >= self.limits.connections:
            oldest = next((one for one in self._open.values() if not one.asked), None)
            if oldest is None:
                return False
            oldest.cut()
        self._open[connection.transport] = connection
        return True

    def remove(self, connection: _Connection) -> None:
        """It is closed, or about to be."""
        self._open.pop(connection.transport, None)


class _Connection(asyncio.Protocol):
    """Stands between the socket and the protocol that speaks HTTP."""

    transport: asyncio.Transport

    def __init__(self, all_: Connections) -> None:
        self._all = all_
        self._inner = asyncio.Protocol()  # Does nothing.
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False
        self.asked = False
        """The head of its request has come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        opened: socket.socket = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if not self._all.add(self):
            self._refuse(BUSY)
            return
        self.wait(self._all.limits.request_s)
        self._inner = self._all.make_protocol()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._refused:
            return
        if self._received <= self._all.limits.request_bytes:
            self._inner.data_received(data)
        elif self.asked:
            self.cut()
        else:
            self._refuse(TOO_LARGE)

    def eof_received(self) -> bool | None:
        return None if self._refused else self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.wait(None)
        self._all.remove(self)
        self._inner.connection_lost(exc)

    def wait(self, seconds: float | None) -> None:
        """Cut it off after so long; ``None``: not."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if seconds is None else loop.call_later(seconds, self.cut)

    def cut(self) -> None:
        """Close it without another word."""
        self._all.remove(self)
        self.transport.abort()

    def _refuse(self, answer: bytes) -> None:
        self._refused = True
        self.transport.write(answer)
        self.transport.close()
