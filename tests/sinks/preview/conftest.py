"""A page with pictures that move, and people who press its buttons."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.errors import OutputError
from ladle_rt.frame_stats import FrameStats, Percentiles
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.preview import PreviewSink, open_preview
from ladle_rt.sinks.preview.connection_limits import ConnectionLimits
from ladle_rt.sinks.switches import Switch
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.thermal.thermal_view import ThermalView


class Hands:
    """The `Controls` that a page has; remembers what was asked for."""

    def __init__(self) -> None:
        self.recording: Path | None = None
        self.asked: list[str] = []
        self.refuses = False

    def record(self, on: bool) -> Path | None:
        self.asked.append("record" if on else "stop")
        before, self.recording = self.recording, Path("made.mkv") if on else None
        return self.recording or before

    def snapshot(self) -> Path:
        self.asked.append("snapshot")
        if self.refuses:
            raise OutputError("disk full")
        return Path("shot.png")

    def quit(self) -> None:
        self.asked.append("quit")


class Page:
    """A served page, and the stream behind it."""

    def __init__(
        self,
        address: str = "0",
        token: str | None = None,
        switches: tuple[Switch, ...] = (),
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.hands = Hands()
        self.told: list[str] = []
        self.figures_asked = 0
        self.answers = threading.Event()
        """While cleared, the page hangs."""
        self.answers.set()
        self.state, self.problem = "running", None
        self.count = 0
        self._stop = threading.Event()
        self.sink: PreviewSink = open_preview(
            address,
            token,
            lambda: ThermalView(ThermalNormalization(), "ironbow"),
            self.figures,
            self.hands,
            self.told.append,
            switches,
            limits,
        )
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return self.sink.urls[0].partition("?")[0]

    def figures(self) -> FrameStats:
        self.figures_asked += 1
        self.answers.wait(60)
        return FrameStats(
            state=self.state,  # type: ignore[arg-type]
            elapsed_s=5.0,
            source="test pattern",
            engine="onnxruntime (2 workers)",
            network_size=(192, 256),
            captured=self.count + 2,
            presented=self.count,
            dropped={"late": self.count // 10},
            skipped={"rtsp://***@host/out": 3},
            problem=self.problem,
            fps_presented=29.5 + self.count % 2,
            latency_ms=Percentiles(30, 40, 50, 60),
            recent_latency_ms=Percentiles(31, 38, 44 + self.count % 7, 52 + self.count % 11),
            stages_ms={"translate": Percentiles(25, 26, 27, 28)},
            queues={"inbox": 1},
            load={"cpu_percent": 81.0, "rss_mb": 190.5},
        )

    def _play(self) -> None:
        while not self._stop.wait(0.03):
            self.write(self.count)
            self.count += 1

    def write(self, number: int) -> None:
        self.sink.write(moving(number))

    def hold(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def close(self) -> None:
        self.hold()
        self.sink.close()


def moving(number: int) -> TranslatedFrame:
    """A bright bar that goes over a green picture."""
    height, width = 128, 160
    data = np.full((height * 3 // 2, width), 100, np.uint8)
    data[height:] = 110
    left = number * 4 % (width - 20)
    data[:height, left : left + 20] = 230
    thermal = np.tile(np.linspace(0, 255, width), (height, 1)).astype(np.uint8)
    thermal[:, left : left + 20] = 255
    return TranslatedFrame(
        Frame(thermal, number, 0, number, None), Picture("yuv420p", data, width, height)
    )


@pytest.fixture
def serve() -> Iterator[Callable[..., Page]]:
    opened: list[Page] = []

    def make(*args: Any, **kwargs: Any) -> Page:
        opened.append(Page(*args, **kwargs))
        return opened[-1]

    yield make
    for page in opened:
        page.close()
