"""The page as a sink: an aiohttp server in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import re
import secrets
from collections.abc import Callable, Sequence

from aiohttp import web
from aiohttp.http import HttpProcessingError

from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import Controls
from ladle_rt.sinks.preview.access import add_headers, guard
from ladle_rt.sinks.preview.address import PreviewAddress
from ladle_rt.sinks.preview.encode import Pictures
from ladle_rt.sinks.preview.limits import Connections, Limits
from ladle_rt.sinks.preview.pages import Pages
from ladle_rt.sinks.switches import Switch
from ladle_rt.sinks.thread import SinkThread
from ladle_rt.thermal.view import ThermalView

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


def open_preview(
    address: str,
    token: str | None,
    make_thermal: Callable[[], ThermalView],
    figures: Callable[[], FrameStats],
    controls: Controls,
    tell: Callable[[str], None],
    switches: Sequence[Switch] = (),
    limits: Limits | None = None,
) -> PreviewSink:
    """Serve the page and say where.

    Args:
        address: ``[HOST:]PORT``.
        token: what the page asks for; made up where others could reach it without one.
        make_thermal: makes the thermal picture of one layout.
        figures: for the chart.
        controls: what buttons do.
        tell: gets the addresses to open, one line each.
        switches: shown as buttons, in this order.
        limits: what visitors may take; ``None``: what the machine affords.

    Raises:
        ConfigError: an address or a token of another form.
        OutputError: the port is taken.
    """
    place = PreviewAddress.parse(address)
    if token is not None and not TOKEN.fullmatch(token):
        raise ConfigError(
            "the token must have at least 8 characters of A-Z a-z 0-9 . _ ~ -; "
            f"received {len(token)}, or others among them"
        )
    if token is None and not place.local:
        token = secrets.token_urlsafe(16)
    sink = PreviewSink(place, token, make_thermal, figures, controls, switches, limits or Limits())
    for url in sink.urls:
        tell(f"preview: {url}")
    return sink


class PreviewSink:
    """A `Sink` for any number of viewers; none of them can slow it down."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(
        self,
        address: PreviewAddress,
        token: str | None,
        make_thermal: Callable[[], ThermalView],
        figures: Callable[[], FrameStats],
        controls: Controls,
        switches: Sequence[Switch],
        limits: Limits,
    ) -> None:
        """
        Raises:
            OutputError: the address cannot be served.
        """
        self._address, self._token, self._limits = address, token, limits
        self._make_thermal, self._figures = make_thermal, figures
        self._controls, self._switches = controls, switches
        self._pictures: Pictures | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        started: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._thread = SinkThread(lambda: self._serve(started), "preview")
        try:
            port = started.result(START_TIMEOUT_S)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(
                f"preview cannot be served on {address.host}:{address.port} ({reason}); "
                "choose another port"
            ) from error
        self.urls = address.urls(port, token)
        """What a person opens, with the token; the first on this machine."""

    def write(self, translated: TranslatedFrame) -> None:
        """Make a picture the newest; returns at once."""
        self._thread.check()
        assert self._pictures is not None
        self._pictures.put(translated)

    def close(self) -> None:
        """End every viewer's stream and the server; calling it twice is harmless."""
        if self._loop is not None and self._thread.is_alive():
            assert self._stop is not None
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_TIMEOUT_S)

    def abort(self) -> None:
        """The same."""
        self.close()

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
        self._pictures = Pictures(self._make_thermal)
        connections = Connections(self._limits)
        # Bound before the page is made: its cookie is named by the port.
        listening = self._address.listen()
        port: int = listening.getsockname()[1]
        app = web.Application(
            middlewares=[connections.admit, guard(self._token, self._address.local, port)],
            client_max_size=4096,
        )
        app.on_response_prepare.append(add_headers)
        pages = Pages(connections, self._pictures, self._figures, self._controls, self._switches)
        pages.add_to(app)
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
            pages.end()
            await runner.cleanup()
