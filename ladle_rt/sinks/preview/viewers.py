"""Endless answers to viewers, each at the pace that it can take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import HttpVersion11, web

from ladle_rt.sinks.preview.connection_limits import Connections
from ladle_rt.sinks.preview.pace import Pace

UNBOUNDED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Part:
    """What is sent at once, the same bytes to every viewer."""

    number: int
    """Larger than that of the part before."""
    chunk: bytes
    """As HTTP/1.1 carries it, with its length."""

    @classmethod
    def of(cls, number: int, body: bytes) -> Part:
        """Make one; copied here, once, and for no viewer."""
        return cls(number, b"%x\r\n%b\r\n" % (len(body), body))

    @property
    def body(self) -> bytes:
        """As it is."""
        return self.chunk[self.chunk.index(b"\r\n") + 2 : -2]


async def send_parts(
    request: web.Request,
    connections: Connections,
    pace: Pace,
    content_type: str,
    begin: bytes,
    after: Callable[[int], Awaitable[Part | None]],
) -> web.StreamResponse:
    """Send the newest part again and again; what a slow viewer has not taken is not added to.

    Args:
        request: the viewer's.
        connections: told that this answer has no end.
        pace: says how long to wait between two parts; told of each.
        content_type: of the answer.
        begin: sent first.
        after: waits for a part with a number larger than the given; ``None`` at the end.
    """
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.force_close()
    chunked = request.version >= HttpVersion11
    if chunked:
        response.enable_chunked_encoding()
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        return response
    connections.endless(request)
    # A part is written only where the one before has left, so that there is nothing to wait for.
    transport.set_write_buffer_limits(high=UNBOUNDED)
    loop = asyncio.get_running_loop()
    number, taken_s = -1, loop.time()
    with contextlib.suppress(ConnectionError), pace.watched():
        # The head goes with it.
        await response.write(begin)
        while (part := await after(number)) is not None and not transport.is_closing():
            number = part.number
            if not transport.get_write_buffer_size():
                taken_s = loop.time()
                # Behind the response's back, which would copy it for each viewer.
                transport.write(part.chunk if chunked else part.body)
                pace.sent(len(part.chunk))
            elif loop.time() - taken_s > connections.limits.viewer_s:
                transport.abort()
            await asyncio.sleep(pace.interval_s)
    return response
