"""The page as a sink: an aiohttp server in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import secrets
from collections.abc import Callable

from aiohttp import web

from ladle_rt.errors import OutputError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import Controls
from ladle_rt.sinks.preview.access import PreviewAddress, guard
from ladle_rt.sinks.preview.encode import Pictures
from ladle_rt.sinks.preview.pages import Pages
from ladle_rt.sinks.thread import SinkThread
from ladle_rt.thermal.view import ThermalView

START_TIMEOUT_S = STOP_TIMEOUT_S = 10.0
SMALLEST_TOKEN = 8


def open_preview(
    address: str,
    token: str | None,
    make_thermal: Callable[[], ThermalView],
    figures: Callable[[], FrameStats],
    controls: Controls,
    tell: Callable[[str], None],
) -> PreviewSink:
    """Serve the page and say where.

    Args:
        address: ``[HOST:]PORT``.
        token: what the page asks for; made up where others could reach it without one.
        make_thermal: makes the thermal picture of one layout.
        figures: for the chart.
        controls: what buttons do.
        tell: gets the address to open.

    Raises:
        ConfigError: an address of another form.
        OutputError: the port is taken, or the token too short to keep anybody out.
    """
    place = PreviewAddress.parse(address)
    if token is not None and len(token) < SMALLEST_TOKEN:
        raise OutputError(f"the token must have at least {SMALLEST_TOKEN} characters")
    if token is None and not place.local:
        token = secrets.token_urlsafe(16)
    sink = PreviewSink(place, token, make_thermal, figures, controls)
    tell(f"preview: {sink.url}")
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
    ) -> None:
        """
        Raises:
            OutputError: the address cannot be served.
        """
        self._address, self._token = address, token
        self._make_thermal, self._figures, self._controls = make_thermal, figures, controls
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
        self.url = address.url(port, token)
        """What a person opens, with the token."""

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
        pages = Pages(self._pictures, self._figures, self._controls)
        app = web.Application(
            middlewares=[guard(self._token, self._address.local)], client_max_size=4096
        )
        pages.add_to(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._address.host, self._address.port)
            await site.start()
            port: int = runner.addresses[0][1]
            started.set_result(port)
            await self._stop.wait()
            pages.ending.set()
        finally:
            await runner.cleanup()
