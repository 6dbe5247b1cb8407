"""Endless answers to viewers, each at the pace that it can take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from ladle_rt.sinks.preview.connection_limits import Connections

UNBOUNDED = 2**31 - 1


class Part(Protocol):
    """What is sent at once."""

    @property
    def number(self) -> int:
        """Larger than that of the part before."""

    @property
    def data(self) -> bytes: ...


async def send_parts(
    request: web.Request,
    connections: Connections,
    content_type: str,
    begin: bytes,
    after: Callable[[int], Awaitable[Part | None]],
    wrap: Callable[[bytes], bytes],
    pause_s: Callable[[], float],
) -> web.StreamResponse:
    """Send the newest part again and again; what a slow viewer has not taken is not added to.

    Args:
        request: the viewer's.
        connections: told that this answer has no end.
        content_type: of the answer.
        begin: sent first.
        after: waits for a part with a number larger than the given; ``None`` at the end.
        wrap: what is sent for a part's data.
        pause_s: seconds between two parts, at least.
    """
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.force_close()
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        return response
    connections.endless(request)
    # A part is written only where the one before has left, so that there is nothing to wait for.
    transport.set_write_buffer_limits(high=UNBOUNDED)
    loop = asyncio.get_running_loop()
    number, taken_s = -1, loop.time()
    with contextlib.suppress(ConnectionError):
        await response.write(begin)
        while (part := await after(number)) is not None and not transport.is_closing():
            number = part.number
            if not transport.get_write_buffer_size():
                taken_s = loop.time()
                await response.write(wrap(part.data))
            elif loop.time() - taken_s > connections.limits.viewer_s:
                transport.abort()
            await asyncio.sleep(pause_s())
    return response
