"""A source that follows a script of faults, and a translator of known speed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ladle_rt.errors import InputError, SourceLostError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sources.base import SourceInfo

FAULTS = (
    "unplug", "stall", "repeat", "flat", "short", "other size", "other dtype", "clock back",
    "clock ahead", "burst",
)  # fmt: skip
INTERVAL_S = 0.004
TICK = Fraction(1, 1_000_000)
TIMEOUT_S = 0.08


def pixels(number: int, size: tuple[int, int] = (24, 32), dtype: type = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(0, 250, size).astype(dtype)


class Camera:
    """What stays while its sources come and go: the script, and what was delivered."""

    def __init__(self, script: Sequence[str], good_between: int = 8) -> None:
        self.script = deque(script)
        self.good_between = good_between
        self.number = 0
        self.corrupt = 0
        self.refusals = 0
        self.gone = threading.Event()
        self.fault_times_s: list[float] = []
        self.last_time_s = 0.0
        self.opened = 0

    def open(self) -> CameraSource:
        self.opened += 1
        if self.refusals:
            self.refusals -= 1
            raise InputError("/dev/video0: no such device")
        return CameraSource(self)


class CameraSource:
    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._closed = threading.Event()
        self.info = SourceInfo(32, 24, TICK, Fraction(250), live=True, name="camera")

    def close(self) -> None:
        self._closed.set()

    def __enter__(self) -> CameraSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _frame(self, values: Any, shift_s: float = 0.0, fault: str | None = None) -> Frame:
        camera = self._camera
        now_ns = time.monotonic_ns() + round(shift_s * 1e9)
        camera.number += 1
        camera.last_time_s = time.monotonic()
        return Frame(values, camera.number, now_ns, now_ns // 1000, TICK, fault)

    def __iter__(self) -> Iterator[Frame]:
        camera = self._camera
        while not self._closed.is_set():
            for _ in range(camera.good_between):
                if self._closed.wait(INTERVAL_S):
                    return
                yield self._frame(pixels(camera.number))
            if not camera.script:
                camera.gone.set()
                continue
            fault = camera.script.popleft()
            camera.fault_times_s.append(time.monotonic())
            yield from self._do(fault)

    def _do(self, fault: str) -> Iterator[Frame]:
        camera = self._camera
        if fault == "unplug":
            camera.refusals = 2
            raise SourceLostError("camera: gone")
        if fault == "stall":
            # Deaf: not even closing wakes it for a while.
            time.sleep(2.5 * TIMEOUT_S)
        elif fault == "repeat":
            values = pixels(camera.number)
            for _ in range(6):
                yield self._frame(values)
        elif fault == "flat":
            for _ in range(6):
                yield self._frame(np.full((24, 32), 99 + camera.number % 3, np.uint8))
        elif fault == "short":
            camera.corrupt += 2
            for _ in range(2):
                empty = np.empty((0, 0), np.uint8)
                yield self._frame(empty, fault="expected 768 bytes, received 12")
        elif fault == "other size":
            for size in ((10, 50), (1, 1), (25, 33)):
                yield self._frame(pixels(camera.number, size))
        elif fault == "other dtype":
            for _ in range(3):
                yield self._frame(pixels(camera.number, dtype=np.uint16))
        elif fault.startswith("clock"):
            for _ in range(3):
                yield self._frame(pixels(camera.number), -3600 if fault == "clock back" else 3600)
        elif fault == "burst":
            for _ in range(60):
                yield self._frame(pixels(camera.number))


class SlowTranslator:
    """Takes a while for every frame, in one thread; gives grey yuv420p."""

    name, depth, network_size = "slow", 2, (32, 32)

    def __init__(self, work_s: float = 0.002) -> None:
        self._work_s = work_s
        self._waiting: deque[Frame] = deque()

    def resize(self, size: tuple[int, int]) -> None: ...

    def submit(self, frame: Frame) -> int:
        assert len(self._waiting) < self.depth
        assert frame.pixels.ndim == 2 and frame.pixels.size
        self._waiting.append(frame)
        return 0

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        time.sleep(self._work_s)
        frame = self._waiting.popleft()
        data = np.full((3, 2), int(frame.pixels.flat[0]) & 0xFF, np.uint8)
        return TranslatedFrame(frame, Picture("yuv420p", data, 2, 2))

    def close(self) -> None: ...

    def __enter__(self) -> SlowTranslator:
        return self

    def __exit__(self, *_: object) -> None: ...


class KeepingSink:
    """Keeps sequences, and when each came."""

    pixel_format = "yuv420p"

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.times_s: list[float] = []
        self.ended = ""

    def write(self, translated: TranslatedFrame) -> None:
        self.sequences.append(translated.frame.sequence)
        self.times_s.append(time.monotonic())

    def close(self) -> None:
        self.ended += "closed"

    def abort(self) -> None:
        self.ended += "aborted"
