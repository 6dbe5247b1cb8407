"""The newest picture as JPEG, once per layout however many watch, and only while somebody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import cv2

from ladle_rt.frames import TranslatedFrame
from ladle_rt.sinks.view import LAYOUTS, View, ViewLayout
from ladle_rt.thermal.view import ThermalView

QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 80]


class Pictures:
    """Belongs to the page's event loop, except `put`."""

    def __init__(self, make_thermal: Callable[[], ThermalView]) -> None:
        self.newest: TranslatedFrame | None = None
        self.number = 0
        """Counts pictures, so that a viewer knows whether there is a new one."""
        self._views = {layout: View(make_thermal(), layout) for layout in LAYOUTS}
        self._encoded: dict[ViewLayout, tuple[int, bytes]] = {}
        self._locks = {layout: asyncio.Lock() for layout in LAYOUTS}

    def put(self, translated: TranslatedFrame) -> None:
        """Take the newest picture; from the pipeline's thread."""
        self.newest = translated
        self.number += 1

    async def jpeg(self, layout: ViewLayout) -> tuple[int, bytes] | None:
        """The newest picture and its number; ``None`` before the first one."""
        async with self._locks[layout]:
            number, newest = self.number, self.newest
            if newest is None:
                return None
            known = self._encoded.get(layout)
            if known is None or known[0] != number:
                data = await asyncio.to_thread(self._encode, layout, newest)
                known = self._encoded[layout] = number, data
            return known

    def _encode(self, layout: ViewLayout, translated: TranslatedFrame) -> bytes:
        rgb = self._views[layout].compose(translated)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), QUALITY)
        return data.tobytes()
