"""Crowds of viewers, and the stream that must not feel them."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil
import pytest

from ladle_rt.sinks.preview import encode

Serve = Callable[..., Any]
PICTURES, FIGURES = "/stream/colour.mjpg", "/api/events"


class Crowd:
    """Viewers that read all they get, in one thread: the caller's."""

    def __init__(self, port: int, paths: list[str]) -> None:
        self._ready = selectors.DefaultSelector()
        self.got: list[bytearray] = []
        for path in paths:
            opened = socket.create_connection(("127.0.0.1", port), timeout=10)
            opened.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            opened.setblocking(False)
            self.got.append(bytearray())
            self._ready.register(opened, selectors.EVENT_READ, self.got[-1])

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._ready.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._ready.close()

    def read(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            for key, _ in self._ready.select(left_s):
                with contextlib.suppress(BlockingIOError):
                    key.data.extend(key.fileobj.recv(1 << 18))  # type: ignore[union-attr]

    def pictures(self) -> list[int]:
        """Whole pictures that each has got."""
        return [data.count(b"\r\n--frame\r\n") for data in self.got]


def port_of(page: Any) -> int:
    return urlsplit(page.url).port or 0


def test_figures_are_put_together_once_for_all(serve: Serve) -> None:
    page = serve()
    with Crowd(port_of(page), [FIGURES] * 40) as crowd:
        crowd.read(1.0)
        before, begin_s = page.figures_asked, time.monotonic()
        crowd.read(2.0)
        spent_s = time.monotonic() - begin_s
        assert 1 <= page.figures_asked - before <= spent_s / 0.5 + 2
        assert all(data.count(b"data: ") >= 2 for data in crowd.got)
        # The same at the same moment.
        assert len({bytes(data[-40:]) for data in crowd.got}) < 20


def test_pictures_are_encoded_once_for_all_and_only_for_viewers(serve: Serve) -> None:
    page = serve()
    time.sleep(0.3)
    pictures = page.sink._pictures
    assert pictures.encoded == 0 and page.count > 3
    with Crowd(port_of(page), [PICTURES] * 20) as crowd:
        crowd.read(2.0)
        assert pictures.encoded <= page.count
        assert min(crowd.pictures()) > 3 and sum(crowd.pictures()) > 3 * pictures.encoded
    time.sleep(0.5)
    encoded = pictures.encoded
    time.sleep(0.5)
    assert pictures.encoded == encoded


def test_many_viewers_share_what_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "SENDS_PER_S", 60.0)
    page = serve()
    with Crowd(port_of(page), [PICTURES] * 30) as crowd:
        crowd.read(1.0)
        before, begin_s = sum(crowd.pictures()), time.monotonic()
        crowd.read(2.0)
        sent = sum(crowd.pictures()) - before
        # One more each, for those that were due.
        assert sent <= 60 * (time.monotonic() - begin_s) + 30
        assert min(crowd.pictures()) >= 2


def cpu_s(name: str) -> float:
    """What a thread has used of a core so far."""
    (native,) = (one.native_id for one in threading.enumerate() if one.name == name)
    (times,) = (one for one in psutil.Process().threads() if one.id == native)
    return float(times.user_time + times.system_time)


def test_two_hundred_watch_figures_and_a_hundred_pictures(serve: Serve) -> None:
    """They get what they came for, and the pipeline keeps its cores."""
    page = serve()
    with Crowd(port_of(page), [FIGURES] * 200 + [PICTURES] * 100) as crowd:
        before, begin_s = cpu_s("preview"), time.monotonic()
        crowd.read(4.0)
        assert cpu_s("preview") - before < 0.3 * (time.monotonic() - begin_s)
        assert all(b"200 OK" in data[:20] for data in crowd.got)
        assert all(b"data: " in data for data in crowd.got[:200])
        assert min(crowd.pictures()[200:]) >= 1
        assert page.longest_write_s < 0.5
        page.close()


def test_a_picture_is_sent_whole_at_once(serve: Serve) -> None:
    """Browsers show a picture when its closing boundary comes: not that of the next one."""
    page = serve()
    with Crowd(port_of(page), [PICTURES]) as crowd:
        crowd.read(0.3)
        page.hold()
        crowd.read(0.5)
        data = bytes(crowd.got[0])
    assert data.rstrip().endswith(b"--frame")
    last = data[data.rindex(b"\xff\xd8\xff") : data.rindex(b"\r\n--frame")]
    assert cv2.imdecode(np.frombuffer(last, np.uint8), cv2.IMREAD_COLOR) is not None
