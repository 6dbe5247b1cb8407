"""The figures as JSON, put together once for all who watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ladle_rt.frame_stats import FrameStats
from ladle_rt.sinks.base import Controls
from ladle_rt.sinks.preview.viewers import Part
from ladle_rt.sinks.switches import Switch

EVERY_S = 0.5


def describe(figures: FrameStats, controls: Controls, switches: Sequence[Switch]) -> dict[str, Any]:
    """The figures of one stream, what is recorded, and how the switches stand; JSON-ready."""
    recording = controls.recording
    return {
        **figures.to_dict(),
        "recording": None if recording is None else recording.name,
        "switches": [
            {"name": one.name, "label": one.label, "key": one.key, "on": one.is_on()}
            for one in switches
        ],
    }


class FiguresFeed:
    """Belongs to the page's event loop."""

    def __init__(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """
        Args:
            state: the figures of this moment, JSON-ready.
        """
        self.state = state
        self._newest = Part(0, b"")
        self._made_s = float("-inf")
        self._ended = False

    async def after(self, number: int) -> Part | None:
        """The next figures after those with the given number; ``None`` at the end."""
        loop = asyncio.get_running_loop()
        while not self._ended:
            if loop.time() - self._made_s >= EVERY_S:
                self._made_s = loop.time()
                body = b"data: %b\n\n" % json.dumps(self.state()).encode()
                self._newest = Part.of(self._newest.number + 1, body)
            if self._newest.number > number:
                return self._newest
            await asyncio.sleep(self._made_s + EVERY_S - loop.time())
        return None

    def end(self) -> None:
        """No more figures come."""
        self._ended = True
