"""The pages' HTTP server: aiohttp in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import re
import secrets
from collections.abc import Callable
from typing import Protocol

from aiohttp import web
from aiohttp.http import HttpProcessingError

from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.sinks.preview.access import add_headers, guard
from ladle_rt.sinks.preview.address import PreviewAddress
from ladle_rt.sinks.preview.connection_limits import ConnectionLimits, Connections
from ladle_rt.sinks.sink_thread import SinkThread

logger = logging.getLogger("ladle_rt.preview")

START_TIMEOUT_S = STOP_TIMEOUT_S = 10.0
QUEUE = 512
"""Connections that may wait to be accepted."""
TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,}")
"""Goes into addresses and cookies as it is."""


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether an error of the server is one: visitors who speak no HTTP, or leave, are none."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


logger.addFilter(_is_ours)


class Site(Protocol):
    """What a server shows; used in its event loop."""

    def add_to(self, app: web.Application) -> None:
        """Register every address."""

    def end(self) -> None:
        """End every endless answer."""


class PageServer:
    """Serves a `Site` until closed, to those who may see it."""

    def __init__(
        self,
        address: str,
        token: str | None,
        make_site: Callable[[Connections], Site],
        limits: ConnectionLimits | None = None,
    ) -> None:
        """
        Args:
            address: ``[HOST:]PORT``.
            token: what visitors must know; made up where others could reach it without one.
            make_site: makes what is shown, in the event loop.
            limits: what visitors may take; ``None``: what the machine affords.

        Raises:
            ConfigError: an address or a token of another form.
            OutputError: the address cannot be served.
        """
        self._address = PreviewAddress.parse(address)
        if token is not None and not TOKEN.fullmatch(token):
            raise ConfigError(
                "the token must have at least 8 characters of A-Z a-z 0-9 . _ ~ -; "
                f"received {len(token)}, or others among them"
            )
        if token is None and not self._address.local:
            token = secrets.token_urlsafe(16)
        self._token, self._limits = token, limits or ConnectionLimits()
        self._make_site = make_site
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        started: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._thread = SinkThread(lambda: self._serve(started), "preview")
        try:
            port = started.result(START_TIMEOUT_S)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(
                f"preview cannot be served on {self._address.host}:{self._address.port} "
                f"({reason}); choose another port"
            ) from error
        self.urls = self._address.urls(port, token)
        """What a person opens, with the token; the first on this machine."""

    def check(self) -> None:
        """Return while all is well.

        Raises:
            Exception: what ended the server.
        """
        self._thread.check()

    def close(self) -> None:
        """End every viewer's stream and the server; calling it twice is harmless."""
        if self._loop is not None and self._thread.is_alive():
            assert self._stop is not None
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_TIMEOUT_S)

    def _serve(self, started: concurrent.futures.Future[int]) -> None:
        try:
            asyncio.run(self._run(started))
        except Exception as error:
            if not started.done():
                started.set_exception(error)
            else:
                raise

    async def _run(self, started: concurrent.futures.Future[int]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections = Connections(self._limits)
        # Bound before the site is made: its cookie is named by the port.
        listening = self._address.listen()
        port: int = listening.getsockname()[1]
        app = web.Application(
            middlewares=[connections.admit, guard(self._token, self._address.local, port)],
            client_max_size=4096,
        )
        app.on_response_prepare.append(add_headers)
        site = self._make_site(connections)
        site.add_to(app)
        # Whoever leaves takes his handler along.
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1.0,
            handler_cancellation=True,
            lingering_time=1.0,
            auto_decompress=False,
            logger=logger,
        )
        await runner.setup()
        assert runner.server is not None
        connections.make_protocol = runner.server
        server = await self._loop.create_server(
            connections, sock=listening, backlog=self._limits.accepted_at_once
        )
        # The backlog above also says how many are accepted at once; many more may wait.
        listening.listen(QUEUE)
        try:
            started.set_result(port)
            await self._stop.wait()
        finally:
            server.close()
            site.end()
            await runner.cleanup()
