"""A window, by OpenCV's highgui, in a thread of its own.

The thread draws the newest picture and listens to keys, also while no pictures come, so neither
side ever waits for the other.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

import cv2

from ladle_rt.colour import swap_red_and_blue
from ladle_rt.errors import LadleError, OutputError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import Controls
from ladle_rt.sinks.hud import BRIGHT, HELP, draw, lines_of
from ladle_rt.sinks.picture_layout import View
from ladle_rt.sinks.sink_thread import SinkThread
from ladle_rt.sinks.switches import Switch

logger = logging.getLogger("ladle_rt")

POLL_MS = 15
"""Between looks at the keyboard."""
START_TIMEOUT_S = 20.0
NOTICE_S = 2.0
"""How long "saved ..." stays."""
ESCAPE = 27
WINDOW_REMEDY = "pip install --force-reinstall --no-deps opencv-python"
"""Brings OpenCV's windows, whichever of its wheels was written last."""


def built_with_windows() -> bool:
    """Whether the OpenCV that is loaded has windows; ``opencv-python-headless`` has none."""
    return not re.search(r"GUI:\s+NONE", cv2.getBuildInformation())


def display_available() -> str | None:
    """Why no window can be opened here; ``None`` where one can.

    Asked before OpenCV is: its Qt ends the whole process where there is no display.
    """
    if not built_with_windows():
        return f"this OpenCV has no windows; for them: {WINDOW_REMEDY}"
    if sys.platform == "darwin":
        return "windows need the main thread on macOS"
    if sys.platform == "win32" or os.environ.get("WAYLAND_DISPLAY"):
        return None
    display = os.environ.get("DISPLAY")
    if not display:
        return "there is no display (DISPLAY is not set)"
    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if host in ("", "unix") and number.isdecimal():
        for name in (f"\0/tmp/.X11-unix/X{number}", f"/tmp/.X11-unix/X{number}"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(name) == 0:
                    return None
        return f"the display {display} does not answer"
    return None


class WindowSink:
    """Shows the newest picture; keys and closing the window reach the `Controls`."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(
        self,
        title: str,
        view: View,
        figures: Callable[[], FrameStats],
        controls: Controls,
        switches: Sequence[Switch] = (),
    ) -> None:
        """
        Args:
            title: of the window.
            view: composes what is shown; belongs to this object.
            figures: for the overlay.
            controls: what keys do.
            switches: turned by their keys.

        Raises:
            OutputError: there is no display.
        """
        problem = display_available()
        if problem is not None:
            raise OutputError(
                f"no window can be shown: {problem}; use --preview 8080 and open the page, or "
                "--no-window with --output"
            )
        # Qt tells on standard error that OpenCV brings no fonts; nothing here needs them.
        os.environ.setdefault("QT_LOGGING_RULES", "*=false")
        self._title, self._view = title, view
        self._figures, self._controls, self._switches = figures, controls, switches
        self._newest: TranslatedFrame | None = None
        self._hud, self._help = True, False
        self._notice = ("", 0.0)
        self._closed = threading.Event()
        self._started = threading.Event()
        self._failure: Exception | None = None
        self._thread = SinkThread(self._serve, "window")
        self._started.wait(START_TIMEOUT_S)
        if self._failure is not None:
            raise OutputError(f"no window can be shown: {self._failure}") from self._failure

    def write(self, translated: TranslatedFrame) -> None:
        """Show a picture soon; returns at once.

        Raises:
            OutputError: the window has ended by itself.
        """
        self._thread.check()
        self._newest = translated

    def close(self) -> None:
        """Close the window; calling it twice is harmless."""
        self._closed.set()
        self._thread.join(START_TIMEOUT_S)

    def abort(self) -> None:
        """The same."""
        self.close()

    def _serve(self) -> None:
        try:
            cv2.namedWindow(
                self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            )
            cv2.waitKey(1)
        except cv2.error as error:
            self._failure = error
            return
        finally:
            self._started.set()
        try:
            self._show()
        except cv2.error as error:
            raise OutputError(f"the window has ended: {error}") from error

    def _show(self) -> None:
        """Draw and listen until closed."""
        shown: TranslatedFrame | None = None
        drawn_s = 0.0
        while not self._closed.is_set():
            newest, now_s = self._newest, time.monotonic()
            # A picture that stays is drawn anew for its figures.
            if newest is not None and (newest is not shown or now_s - drawn_s > 0.5):
                if shown is None:
                    self._fit(newest)
                self._draw(newest)
                shown, drawn_s = newest, now_s
            key = cv2.waitKey(POLL_MS) & 0xFF
            if key != 0xFF:
                self._press(chr(key) if key != ESCAPE else "q")
                drawn_s = 0.0
            if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
                self._controls.quit()
                return
        cv2.destroyWindow(self._title)
        cv2.waitKey(1)

    def _fit(self, first: TranslatedFrame) -> None:
        height, width = self._view.compose(first).shape[:2]
        factor = max(1, 640 // max(width, 1))
        cv2.resizeWindow(self._title, width * factor, height * factor)

    def _draw(self, translated: TranslatedFrame) -> None:
        picture = self._view.compose(translated)
        lines = []
        if self._help:
            lines = [(line, BRIGHT) for line in HELP]
        elif self._hud:
            lines = lines_of(self._figures(), self._controls.recording is not None)
        text, until_s = self._notice
        if time.monotonic() < until_s:
            lines = [*lines, (text, BRIGHT)]
        if lines:
            picture = draw(picture, lines)
        cv2.imshow(self._title, swap_red_and_blue(picture))

    def _press(self, key: str) -> None:
        try:
            notice = self._act(key)
        except LadleError as error:
            notice = str(error)
        if notice:
            self._notice = notice, time.monotonic() + NOTICE_S

    def _act(self, key: str) -> str:
        """Do what a key stands for and say so."""
        if key == "q":
            self._controls.quit()
        elif key == "l":
            return self._view.next_layout()
        elif key == "p":
            return self._view.thermal.next_palette()
        elif key == "s":
            return f"saved {self._controls.snapshot().name}"
        elif key == "r":
            on = self._controls.recording is None
            path = self._controls.record(on)
            return "" if path is None else f"{'recording' if on else 'saved'} {path.name}"
        elif key == "h":
            self._hud = not self._hud
        elif key == "?":
            self._help = not self._help
        for switch in self._switches:
            if switch.key == key:
                switch.turn(not switch.is_on())
                return f"{switch.label.lower()} {'on' if switch.is_on() else 'off'}"
        return ""
