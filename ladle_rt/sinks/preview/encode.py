"""The newest picture as JPEG, once per layout however many watch, and only while somebody does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2

from ladle_rt.colour import swap_red_and_blue
from ladle_rt.frames import TranslatedFrame
from ladle_rt.sinks.picture_layout import LAYOUTS, View, ViewLayout
from ladle_rt.sinks.preview.viewers import Part
from ladle_rt.thermal.thermal_view import ThermalView

QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]
BOUNDARY = b"--frame\r\n"


@dataclass(frozen=True, slots=True)
class Jpeg:
    """An encoded picture."""

    data: bytes
    part: Part
    """Of an endless answer. The boundary ends it instead of beginning it: browsers show a picture
    when its end has come, which would be that of the next one otherwise."""

    @classmethod
    def of(cls, number: int, data: bytes) -> Jpeg:
        """Make one."""
        head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
        return cls(data, Part.of(number, head + data + b"\r\n" + BOUNDARY))


class Pictures:
    """Belongs to the event loop it is made in, except `put`."""

    def __init__(self, make_thermal: Callable[[], ThermalView]) -> None:
        self.newest: TranslatedFrame | None = None
        self.number = 0
        """Counts pictures, so that a viewer knows whether there is a new one."""
        self.encoded = 0
        """How many were encoded so far, in all layouts."""
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._watching = 0
        self._ended = False
        self._views = {layout: View(make_thermal(), layout) for layout in LAYOUTS}
        self._known: dict[ViewLayout, Jpeg] = {}
        self._locks = {layout: asyncio.Lock() for layout in LAYOUTS}

    def put(self, translated: TranslatedFrame) -> None:
        """Take the newest picture; from the pipeline's thread."""
        self.newest = translated
        self.number += 1
        if self._watching:
            # The loop may end at any moment.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._announce)

    def end(self) -> None:
        """No more pictures come."""
        self._ended = True
        self._announce()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """While somebody waits for pictures with `after`."""
        self._watching += 1
        try:
            yield
        finally:
            self._watching -= 1

    async def after(self, layout: ViewLayout, number: int) -> Part | None:
        """The newest picture, as soon as there is one after the given; ``None`` at the end."""
        while not self._ended and (self.newest is None or self.number <= number):
            await self._arrived.wait()
        jpeg = None if self._ended else await self.jpeg(layout)
        return None if jpeg is None else jpeg.part

    async def jpeg(self, layout: ViewLayout) -> Jpeg | None:
        """The newest picture; ``None`` before the first one."""
        async with self._locks[layout]:
            number, newest = self.number, self.newest
            if newest is None:
                return None
            known = self._known.get(layout)
            if known is None or known.part.number != number:
                data = await asyncio.to_thread(self._encode, layout, newest)
                self.encoded += 1
                known = self._known[layout] = Jpeg.of(number, data)
            return known

    def _announce(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()

    def _encode(self, layout: ViewLayout, translated: TranslatedFrame) -> bytes:
        rgb = self._views[layout].compose(translated)
        _, data = cv2.imencode(".jpg", swap_red_and_blue(rgb), QUALITY)
        return data.tobytes()
