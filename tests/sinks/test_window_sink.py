"""A real window on a virtual display, with real key presses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from ladle_rt.errors import OutputError
from ladle_rt.frame_stats import FrameStats, Percentiles
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks import window_sink as window_module
from ladle_rt.sinks.hud import draw, lines_of
from ladle_rt.sinks.window_sink import WindowSink, display_available

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("Xvfb", "xdotool")

CHILD = """
import subprocess, sys, threading, time
from pathlib import Path
import numpy as np
from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.picture_layout import View
from ladle_rt.sinks.window_sink import WindowSink
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.thermal.thermal_view import ThermalView

class Hands:
    recording = None
    asked = []
    def record(self, on):
        self.asked.append(f"record {on}")
        self.recording = Path("a.mkv") if on else None
        return Path("a.mkv")
    def snapshot(self):
        self.asked.append("snapshot")
        return Path("a.png")
    def quit(self):
        self.asked.append("quit")
        done.set()

done = threading.Event()
hands = Hands()
view = View(ThermalView(ThermalNormalization()))
figures = FrameStats(2, 1, elapsed_s=1.0, network_size=(192, 256))
begin = time.monotonic()
window = WindowSink("ladle-rt test", view, lambda: figures, hands)
data = np.full((192, 160), 128, np.uint8)
ramp = np.tile(np.arange(160, dtype=np.uint8), (128, 1))
window.write(TranslatedFrame(Frame(ramp, 0, 0), Picture("yuv420p", data, 160, 128)))

def until(condition):
    limit = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)

def press(key, condition):
    # A window that was just mapped may miss the first press.
    for _ in range(30):
        found = subprocess.run(["xdotool", "search", "--name", "ladle-rt test"],
                               capture_output=True, text=True).stdout.split()
        if found:
            subprocess.run(["xdotool", "windowfocus", found[-1]], capture_output=True)
            subprocess.run(["xdotool", "key", key], capture_output=True)
        limit = time.monotonic() + 0.5
        while time.monotonic() < limit:
            if condition():
                return
            time.sleep(0.01)
    raise AssertionError(key)

press("l", lambda: view.layout != "colour")
press("p", lambda: view.thermal.palette != "white-hot")
press("s", lambda: "snapshot" in hands.asked)
press("r", lambda: hands.recording is not None)
press("r", lambda: hands.recording is None)
press("h", lambda: not window._hud)
press("q", done.is_set)
window.close()
assert not window._thread.is_alive()
print("fine")
"""


@pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason="Xvfb or xdotool is not installed"
)
@pytest.mark.skipif(
    "headless" in str(display_available()), reason="this OpenCV is built without windows"
)
def test_keys_reach_the_stream() -> None:
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            display = f":{pipe.readline().strip()}"
        environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)}
        environment.pop("WAYLAND_DISPLAY", None)
        done = subprocess.run(
            [sys.executable, "-c", CHILD],
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    finally:
        server.kill()
        server.wait(10)
    assert done.stdout == "fine\n", done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "told"),
    [(cv2.error("the server is gone"), OutputError), (TypeError("bug"), TypeError)],
)
def test_a_window_that_dies_is_noticed(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise error

    for name in ("namedWindow", "resizeWindow", "destroyWindow"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    monkeypatch.setattr(cv2, "waitKey", lambda _: time.sleep(0.001) or -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    monkeypatch.setattr(cv2, "imshow", fail)
    monkeypatch.setattr(window_module, "display_available", lambda: None)
    view: Any = SimpleNamespace(compose=lambda _: np.zeros((4, 4, 3), np.uint8))
    hands: Any = SimpleNamespace(recording=None)
    window = WindowSink("w", view, lambda: FrameStats(2, 1), hands)
    data = np.zeros((6, 4), np.uint8)
    picture = TranslatedFrame(Frame(data[:4], 0, 0), Picture("yuv420p", data, 4, 4))

    def write_on() -> None:
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            window.write(picture)
            time.sleep(0.005)

    with pytest.raises(told, match=r"gone|bug") as caught:
        write_on()
    assert any(entry.name == "_draw" for entry in caught.traceback) or caught.value.__cause__
    window.abort()


def test_no_display_is_seen_before_qt_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "DISPLAY is not set" in str(display_available()) or "headless" in str(
        display_available()
    )
    monkeypatch.setenv("DISPLAY", ":987")
    assert display_available() is not None


def test_figures_are_readable_and_the_picture_is_left_alone() -> None:
    figures = FrameStats(
        9, 7, {"late": 2}, state="lost", network_size=(192, 256), problem="no frame for 5 s",
        fps_presented=29.97, recent_latency_ms=Percentiles(31, 40, 44, 52),
    )  # fmt: skip
    lines = lines_of(figures, recording=True)
    assert [text for text, _ in lines] == [
        "30.0 fps   31 / 44 ms", "2 dropped   network 256x192", "no frame for 5 s", "REC",
    ]  # fmt: skip
    for ground in (0, 128, 255):
        picture = np.full((512, 640, 3), ground, np.uint8)
        before = picture.copy()
        written = draw(picture, lines)
        np.testing.assert_array_equal(picture, before)
        # Both a bright and a dark stroke are there, whatever lies below.
        assert written.max() > 200 and written.min() < 30
        assert (written[300:] == ground).all()
