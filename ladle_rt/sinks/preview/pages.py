"""What the page's addresses answer."""

from __future__ import annotations

import asyncio
import importlib.resources
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from ladle_rt.frame_stats import FrameStats
from ladle_rt.sinks.base import Controls
from ladle_rt.sinks.picture_layout import LAYOUTS, ViewLayout
from ladle_rt.sinks.preview.connection_limits import Connections
from ladle_rt.sinks.preview.encode import BOUNDARY, Pictures
from ladle_rt.sinks.preview.figures import FiguresFeed, describe
from ladle_rt.sinks.preview.prometheus_metrics import CONTENT_TYPE as METRICS
from ladle_rt.sinks.preview.prometheus_metrics import Exposition
from ladle_rt.sinks.preview.viewers import send_parts
from ladle_rt.sinks.switches import Switch

MULTIPART = "multipart/x-mixed-replace; boundary=frame"
Route = tuple[str, str, Handler]
"""Method, path and what answers."""
STATIC = {
    "": ("index.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "chart.js": ("chart.js", "text/javascript"),
    "link.js": ("link.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""All files there are: nothing else can be asked for."""
INCLUDE = re.compile(rb"<!-- include (\w+\.html) -->\n")
"""Stands in a page for a file of ours that pages share."""


class WatchedStream:
    """What the addresses of one stream show and do; belongs to the page's event loop."""

    def __init__(
        self,
        pictures: Pictures,
        figures: Callable[[], FrameStats],
        controls: Controls,
        switches: Sequence[Switch],
    ) -> None:
        """
        Args:
            pictures: what is shown.
            figures: for the chart.
            controls: what buttons do.
            switches: shown as buttons, in this order.
        """
        self.pictures, self.figures = pictures, figures
        self.controls, self.switches = controls, switches
        self.feed = FiguresFeed(lambda: describe(figures(), controls, switches))
        self.exposition = Exposition(lambda: {None: figures()})

    def end(self) -> None:
        """End every endless answer."""
        self.pictures.end()
        self.feed.end()


class Pages:
    """The handlers; all run in the page's event loop."""

    def __init__(
        self, connections: Connections, stream: WatchedStream | Callable[[str], WatchedStream]
    ) -> None:
        """
        Args:
            connections: of the server.
            stream: the only one; or, below ``prefix``, finds that of a name, and raises
                `HTTPNotFound` where there is none.
        """
        self._connections = connections
        self._stream = stream

    def add_to(self, app: web.Application, prefix: str = "") -> None:
        """Register every address.

        Args:
            app: of the server.
            prefix: before each, with ``{stream}`` for the name; relative links lead to itself.
        """
        routes = static_routes(__package__ or "", STATIC)
        routes += [
            ("GET", "/stream/{layout}.mjpg", self.stream),
            ("GET", "/snapshot.jpg", self.picture),
            ("GET", "/api/figures", self.figures),
            ("GET", "/api/events", self.events),
            ("POST", "/api/snapshot", self.snapshot),
            ("POST", "/api/record", self.record),
            ("POST", "/api/switches/{name}", self.switch),
            ("GET", "/metrics", self.metrics),
            ("GET", "/healthz", self.health),
            NOTHING_ELSE,
        ]
        add_routes(app, routes, prefix)

    def end(self) -> None:
        """End every stream."""
        if isinstance(self._stream, WatchedStream):
            self._stream.end()

    def _of(self, request: web.Request) -> WatchedStream:
        if isinstance(self._stream, WatchedStream):
            return self._stream
        return self._stream(request.match_info["stream"])

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Motion JPEG; a viewer that is slow misses pictures."""
        layout = _layout(request.match_info["layout"])
        pictures = self._of(request).pictures
        with pictures.watched():
            return await send_parts(
                request,
                self._connections,
                self._connections.picture_pace,
                MULTIPART,
                BOUNDARY,
                lambda number: pictures.after(layout, number),
            )

    async def picture(self, request: web.Request) -> web.Response:
        """The newest picture, of ``?layout=``."""
        jpeg = await self._of(request).pictures.jpeg(_layout(request.query.get("layout", "colour")))
        if jpeg is None:
            raise web.HTTPServiceUnavailable(reason="no picture yet")
        return web.Response(body=jpeg.data, content_type="image/jpeg")

    async def figures(self, request: web.Request) -> web.Response:
        """The figures, once."""
        return web.json_response(self._of(request).feed.state())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The figures, twice a second, as server-sent events; the last one is ``end``."""
        return await send_events(request, self._connections, self._of(request).feed)

    async def snapshot(self, request: web.Request) -> web.Response:
        """Save a picture on the machine that runs the stream."""
        path = await asyncio.to_thread(self._of(request).controls.snapshot)
        return web.json_response({"file": path.name})

    async def record(self, request: web.Request) -> web.Response:
        """Start or stop recording: ``{"on": true}``."""
        on = await _wanted(request)
        path = await asyncio.to_thread(self._of(request).controls.record, on)
        return web.json_response({"file": None if path is None else path.name})

    async def switch(self, request: web.Request) -> web.Response:
        """Turn one of the stream's switches: ``{"on": true}``."""
        name = request.match_info["name"]
        switch = next((one for one in self._of(request).switches if one.name == name), None)
        if switch is None:
            raise web.HTTPNotFound(reason="no such switch")
        on = await _wanted(request)
        await asyncio.to_thread(switch.turn, on)
        return web.json_response({"on": switch.is_on()})

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus."""
        return web.Response(
            body=self._of(request).exposition.render(), headers={"Content-Type": METRICS}
        )

    async def health(self, request: web.Request) -> web.Response:
        """200 while frames flow."""
        figures = self._of(request).figures()
        text = figures.state if figures.problem is None else f"{figures.state}: {figures.problem}"
        return web.Response(text=text + "\n", status=200 if figures.state == "running" else 503)


async def send_events(
    request: web.Request, connections: Connections, feed: FiguresFeed
) -> web.StreamResponse:
    """A feed as server-sent events; the last one is ``end``."""
    response = await send_parts(
        request,
        connections,
        connections.event_pace,
        "text/event-stream",
        b"retry: 2000\n\n",
        feed.after,
    )
    if request.transport is not None and not request.transport.is_closing():
        await response.write(b"event: end\ndata: {}\n\n")
    return response


def static_routes(package: str, files: Mapping[str, tuple[str, str]]) -> list[Route]:
    """Routes of files in a package's folder ``static``, by the name they are asked for with."""
    folder, shared = (
        importlib.resources.files(one) / "static" for one in (package, __package__ or "")
    )

    def read(file: str) -> bytes:
        data = (folder / file).read_bytes()
        return INCLUDE.sub(lambda found: (shared / found[1].decode()).read_bytes(), data)

    return [("GET", f"/{name}", _static(read(file), kind)) for name, (file, kind) in files.items()]


def add_routes(app: web.Application, routes: Iterable[Route], prefix: str = "") -> None:
    """Register handlers; bodies of requests are small and come at once."""
    for method, path, handler in routes:
        app.router.add_route(method, prefix + path, handler, expect_handler=_expect_nothing)


async def _nothing(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


NOTHING_ELSE: Route = ("*", "/{rest:.*}", _nothing)
"""The last route: 404 for all that is left."""


async def _expect_nothing(request: web.Request) -> None:
    """Bodies are small and come at once; aiohttp's own fails where the header is not ASCII."""


def _layout(name: str) -> ViewLayout:
    layout = next((one for one in LAYOUTS if one == name), None)
    if layout is None:
        raise web.HTTPNotFound(reason=f"layouts are {', '.join(LAYOUTS)}")
    return layout


async def _wanted(request: web.Request) -> bool:
    try:
        wanted = await request.json()
    except (ValueError, LookupError, RecursionError, web.RequestPayloadError):
        # Not JSON, in a charset that nobody knows, too deep, or not whole.
        wanted = None
    if not (isinstance(wanted, dict) and isinstance(wanted.get("on"), bool)):
        raise web.HTTPBadRequest(reason='expected {"on": true} or {"on": false}')
    on: bool = wanted["on"]
    return on


def _static(data: bytes, kind: str) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=data, content_type=kind, charset="utf-8")

    return answer
