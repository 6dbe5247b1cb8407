"""What the page's addresses answer."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import json
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from ladle_rt.errors import LadleError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.sinks.base import Controls
from ladle_rt.sinks.preview.encode import Pictures
from ladle_rt.sinks.preview.metrics import prometheus
from ladle_rt.sinks.view import LAYOUTS

BOUNDARY = "frame"
LONGEST_RATE = 30.0
"""Pictures per second and viewer, at most."""
SEND_TIMEOUT_S = 10.0
"""A viewer that takes no picture for so long is gone."""
FIGURES_EVERY_S = 0.5
STATIC = {
    "": ("index.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "chart.js": ("chart.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}
"""All files there are: nothing else can be asked for."""


class Pages:
    """The handlers; all run in the page's event loop."""

    def __init__(
        self, pictures: Pictures, figures: Callable[[], FrameStats], controls: Controls
    ) -> None:
        self._pictures, self._figures, self._controls = pictures, figures, controls
        self.ending = asyncio.Event()
        """Set when the server stops: streams end then."""

    def add_to(self, app: web.Application) -> None:
        """Register every address."""
        folder = importlib.resources.files(__package__) / "static"
        for name, (file, kind) in STATIC.items():
            app.router.add_get(f"/{name}", _static((folder / file).read_bytes(), kind))
        app.router.add_get("/stream/{layout}.mjpg", self.stream)
        app.router.add_get("/snapshot.jpg", self.picture)
        app.router.add_get("/api/figures", self.figures)
        app.router.add_get("/api/events", self.events)
        app.router.add_post("/api/snapshot", self.snapshot)
        app.router.add_post("/api/record", self.record)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/healthz", self.health)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Motion JPEG; a viewer that is slow misses pictures."""
        layout = next((one for one in LAYOUTS if one == request.match_info["layout"]), None)
        if layout is None:
            raise web.HTTPNotFound(reason=f"layouts are {', '.join(LAYOUTS)}")
        response = web.StreamResponse()
        response.content_type = "multipart/x-mixed-replace"
        response.headers["Content-Type"] = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        response.headers["Cache-Control"] = "no-store"
        await response.prepare(request)
        seen = -1
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            while not self.ending.is_set():
                encoded = await self._pictures.jpeg(layout)
                if encoded is not None and encoded[0] != seen:
                    seen, data = encoded
                    head = (
                        f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                    )
                    body = head.encode() + b"\r\n\r\n" + data + b"\r\n"
                    await asyncio.wait_for(response.write(body), SEND_TIMEOUT_S)
                await asyncio.sleep(1 / LONGEST_RATE)
        return response

    async def picture(self, request: web.Request) -> web.Response:
        """The newest colour picture."""
        encoded = await self._pictures.jpeg("colour")
        if encoded is None:
            raise web.HTTPServiceUnavailable(reason="no picture yet")
        return web.Response(body=encoded[1], content_type="image/jpeg")

    async def figures(self, request: web.Request) -> web.Response:
        """The figures, once."""
        return web.json_response(self._state())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The figures, twice a second, as server-sent events."""
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            while not self.ending.is_set():
                line = f"data: {json.dumps(self._state())}\n\n"
                await asyncio.wait_for(response.write(line.encode()), SEND_TIMEOUT_S)
                await asyncio.sleep(FIGURES_EVERY_S)
        return response

    async def snapshot(self, request: web.Request) -> web.Response:
        """Save a picture on the machine that runs the stream."""
        try:
            path = await asyncio.to_thread(self._controls.snapshot)
        except LadleError as error:
            return web.json_response({"error": str(error)}, status=409)
        return web.json_response({"file": path.name})

    async def record(self, request: web.Request) -> web.Response:
        """Start or stop recording: ``{"on": true}``."""
        try:
            wanted = await request.json()
        except ValueError:
            wanted = None
        if not (isinstance(wanted, dict) and isinstance(wanted.get("on"), bool)):
            raise web.HTTPBadRequest(reason='expected {"on": true} or {"on": false}')
        try:
            path = await asyncio.to_thread(self._controls.record, wanted["on"])
        except LadleError as error:
            return web.json_response({"error": str(error)}, status=409)
        return web.json_response({"file": None if path is None else path.name})

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus."""
        return web.Response(
            text=prometheus(self._figures()), content_type="text/plain", charset="utf-8"
        )

    async def health(self, request: web.Request) -> web.Response:
        """200 while frames flow."""
        figures = self._figures()
        text = figures.state if figures.problem is None else f"{figures.state}: {figures.problem}"
        return web.Response(text=text + "\n", status=200 if figures.state == "running" else 503)

    def _state(self) -> dict[str, object]:
        recording = self._controls.recording
        return {
            **self._figures().to_dict(),
            "recording": None if recording is None else recording.name,
        }


def _static(data: bytes, kind: str) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=data, content_type=kind, charset="utf-8")

    return answer
