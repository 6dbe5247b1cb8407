"""One page with all cameras: a grid, one of them large, and the page of each by itself.

/                       the grid                 /api/cameras, /api/events   its figures
/metrics                every camera             /healthz                    200: all run
/camera/NAME/...        what `ladle-rt stream --preview` serves
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web
from prometheus_client.core import Metric

from ladle_rt.frame_stats import FrameStats
from ladle_rt.sinks import preview
from ladle_rt.sinks.base import Controls
from ladle_rt.sinks.preview.connection_limits import Connections
from ladle_rt.sinks.preview.encode import Pictures
from ladle_rt.sinks.preview.figures import FiguresFeed
from ladle_rt.sinks.preview.pages import (
    NOTHING_ELSE,
    Pages,
    Route,
    WatchedStream,
    add_routes,
    send_events,
    static_routes,
)
from ladle_rt.sinks.preview.prometheus_metrics import CONTENT_TYPE as METRICS
from ladle_rt.sinks.preview.prometheus_metrics import Exposition
from ladle_rt.sinks.switches import Switch
from ladle_rt.thermal.thermal_view import ThermalView

PREFIX = "/camera/{stream}"
STATIC = {
    "": ("grid.html", "text/html"),
    "grid.js": ("grid.js", "text/javascript"),
    "grid.css": ("grid.css", "text/css"),
}
SHARED = {name: preview.pages.STATIC[name] for name in ("page.css", "icon.svg", "link.js")}
"""Of the page of one camera."""
ADD_TIMEOUT_S = 10.0


class GridSite:
    """A `Site` of cameras that come and go; made in the event loop."""

    def __init__(
        self,
        connections: Connections,
        overview: Callable[[], Mapping[str, Any]],
        figures: Callable[[], Mapping[str, FrameStats]],
        metrics: Callable[[], Iterable[Metric]],
    ) -> None:
        """
        Args:
            connections: of the server.
            overview: all cameras of this moment, JSON-ready.
            figures: by camera.
            metrics: further series.
        """
        self._loop = asyncio.get_running_loop()
        self._connections, self._figures = connections, figures
        self._feed = FiguresFeed(overview)
        self._exposition = Exposition(
            lambda: {name: one for name, one in figures().items()}, metrics
        )
        self._streams: dict[str, WatchedStream] = {}

    def add_to(self, app: web.Application) -> None:
        """Register every address."""
        routes: list[Route] = [
            *static_routes(__package__ or "", STATIC),
            *static_routes(preview.__package__ or "", SHARED),
            ("GET", "/api/cameras", self.cameras),
            ("GET", "/api/events", self.events),
            ("GET", "/metrics", self.metrics),
            ("GET", "/healthz", self.health),
        ]
        add_routes(app, routes)
        Pages(self._connections, self._find).add_to(app, PREFIX)
        add_routes(app, [NOTHING_ELSE])

    def end(self) -> None:
        """End every endless answer."""
        self._feed.end()
        for stream in self._streams.values():
            stream.end()

    def add(
        self,
        name: str,
        make_thermal: Callable[[], ThermalView],
        figures: Callable[[], FrameStats],
        controls: Controls,
        switches: Sequence[Switch],
    ) -> Pictures:
        """Show one more camera; from any thread but the loop's.

        Returns:
            Where its pictures go.
        """

        async def make() -> Pictures:
            pictures = Pictures(make_thermal)
            former = self._streams.pop(name, None)
            if former is not None:
                former.end()
            self._streams[name] = WatchedStream(pictures, figures, controls, switches)
            return pictures

        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(ADD_TIMEOUT_S)

    def remove(self, name: str) -> None:
        """Show it no more; from any thread but the loop's."""

        async def take() -> None:
            stream = self._streams.pop(name, None)
            if stream is not None:
                stream.end()

        asyncio.run_coroutine_threadsafe(take(), self._loop).result(ADD_TIMEOUT_S)

    def _find(self, name: str) -> WatchedStream:
        stream = self._streams.get(name)
        if stream is None:
            raise web.HTTPNotFound(reason="no such camera")
        return stream

    async def cameras(self, request: web.Request) -> web.Response:
        """All cameras, once."""
        return web.json_response(self._feed.state())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The same, twice a second, as server-sent events."""
        return await send_events(request, self._connections, self._feed)

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus."""
        return web.Response(body=self._exposition.render(), headers={"Content-Type": METRICS})

    async def health(self, request: web.Request) -> web.Response:
        """200 while frames of every camera flow."""
        figures = self._figures()
        bad = [
            f"{name}: {one.state}{f', {one.problem}' if one.problem else ''}"
            for name, one in figures.items()
            if one.state != "running"
        ]
        text = "\n".join(bad) or "running"
        return web.Response(text=text + "\n", status=503 if bad else 200)
