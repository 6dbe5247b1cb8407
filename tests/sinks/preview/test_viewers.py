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
import pytest

from ladle_rt.sinks.preview import connection_limits
from ladle_rt.sinks.preview.figures import EVERY_S
from ladle_rt.sinks.preview.viewers import Part

Serve = Callable[..., Any]
PATIENCE_S = 240.0
"""After which nothing more is expected, on any machine."""
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

    def read_until(self, enough: Callable[[], bool]) -> float:
        """However long it takes.

        Returns:
            Seconds that it took.
        """
        begin_s = time.monotonic()
        while not enough():
            assert time.monotonic() < begin_s + PATIENCE_S
            self.read(0.1)
        return time.monotonic() - begin_s

    def events(self) -> list[list[bytearray]]:
        """Figures that each has got."""
        return [[line for line in data.split(b"\n") if line.startswith(b"data: ")]
                for data in self.got]  # fmt: skip

    def pictures(self) -> list[int]:
        """Whole pictures that each has got."""
        # The first boundary comes before all of them.
        return [max(0, data.count(b"\r\n--frame\r\n") - 1) for data in self.got]


def port_of(page: Any) -> int:
    return urlsplit(page.url).port or 0


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_figures_are_put_together_once_for_all(serve: Serve) -> None:
    page = serve()
    with Crowd(port_of(page), [FIGURES] * 40) as crowd:
        spent_s = crowd.read_until(lambda: min(map(len, crowd.events())) >= 3)
        assert page.figures_asked <= spent_s / EVERY_S + 2
        # Lines that are not whole yet are the beginnings of others.
        whole = {bytes(line) for got in crowd.events() for line in got[:-1]}
        assert 2 <= len(whole) <= page.figures_asked


def test_pictures_are_encoded_once_for_all_and_only_for_viewers(serve: Serve) -> None:
    page = serve()
    pictures = page.sink._pictures
    wait_until(lambda: page.count > 3)
    page.hold()
    assert pictures.encoded == 0
    with Crowd(port_of(page), [PICTURES] * 20) as crowd:
        crowd.read_until(lambda: min(crowd.pictures()) >= 1)
        assert pictures.encoded == 1 and crowd.pictures() == [1] * 20
    wait_until(lambda: pictures._watching == 0)
    for number in range(10):
        page.write(number)
    with Crowd(port_of(page), [PICTURES]) as crowd:
        crowd.read_until(lambda: min(crowd.pictures()) >= 1)
    assert pictures.encoded == 2


def test_many_viewers_share_what_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "PICTURES_PER_S", 60.0)
    page = serve()
    with Crowd(port_of(page), [PICTURES] * 30) as crowd:
        spent_s = crowd.read_until(lambda: min(crowd.pictures()) >= 4)
        # One more each, for those that were due.
        assert sum(crowd.pictures()) <= 60 * spent_s + 60


def test_two_hundred_watch_figures_and_a_hundred_pictures(serve: Serve) -> None:
    """They get what they came for, and what is done for them is bounded by the time, not by them.

    By counts: how long the same work takes differs from machine to machine.
    """
    page = serve()
    begin_s = time.monotonic()
    with Crowd(port_of(page), [FIGURES] * 200 + [PICTURES] * 100) as crowd:
        crowd.read(2.0)  # Long enough for what has no bound to show on a machine that is fast.
        crowd.read_until(
            lambda: (
                all(b"data: " in one for one in crowd.got[:200])
                and min(crowd.pictures()[200:]) >= 1
            )
        )
        assert all(b"200 OK" in data[:20] for data in crowd.got)
        # Whatever the server has done for them so far has come into being before this.
        sent, events = sum(crowd.pictures()), sum(map(len, crowd.events()))
        encoded, put = page.sink._pictures.encoded, page.count
        spent_s = time.monotonic() - begin_s
        assert sent <= connection_limits.PICTURES_PER_S * spent_s + 2 * 100
        assert events <= connection_limits.EVENTS_PER_S * spent_s + 2 * 200
        assert page.figures_asked <= spent_s / EVERY_S + 2
        assert encoded <= put + 1


def test_viewers_are_sent_the_same_bytes() -> None:
    part = Part.of(3, b"abc" * 10)
    assert part.chunk == b"1e\r\n" + b"abc" * 10 + b"\r\n" and part.body == b"abc" * 10


def test_viewers_of_before_chunks_get_plain_parts(serve: Serve) -> None:
    page = serve()
    with socket.create_connection(("127.0.0.1", port_of(page)), timeout=PATIENCE_S) as opened:
        opened.sendall(f"GET {FIGURES} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        data = b""
        while b"\n\ndata: " not in data:
            data += opened.recv(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower() and body.startswith(b"retry: 2000\n\ndata: {")


def test_the_stream_waits_for_no_page(serve: Serve) -> None:
    page = serve()
    page.hold()
    page.answers.clear()
    with Crowd(port_of(page), [FIGURES]):
        wait_until(lambda: page.figures_asked > 0)  # From here on the server hangs.
        writing = threading.Thread(target=lambda: [page.write(n) for n in range(100)])
        writing.start()
        writing.join(50)  # Less than the server hangs.
        assert not writing.is_alive()
        page.answers.set()


def test_a_picture_is_sent_whole_at_once(serve: Serve) -> None:
    """Browsers show a picture when its closing boundary comes: not that of the next one."""
    page = serve()
    with Crowd(port_of(page), [PICTURES]) as crowd:
        crowd.read_until(lambda: min(crowd.pictures()) >= 1)
        page.hold()
        # What was sent last: nothing follows it.
        newest = page.sink._pictures
        crowd.read_until(lambda: newest._known["colour"].part.number == newest.number)
        whole = newest._known["colour"].part.body
        crowd.read_until(lambda: whole in crowd.got[0])
        data = bytes(crowd.got[0])
    assert data.rstrip().endswith(b"--frame")
    last = data[data.rindex(b"\xff\xd8\xff") : data.rindex(b"\r\n--frame")]
    assert cv2.imdecode(np.frombuffer(last, np.uint8), cv2.IMREAD_COLOR) is not None
