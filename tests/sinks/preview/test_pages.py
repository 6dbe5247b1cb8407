"""Every address and every refusal, by plain HTTP."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.sinks.preview.access import PreviewAddress

Serve = Callable[..., Any]
BUTTON = {"X-Ladle-Rt": "1", "Content-Type": "application/json"}


def ask(
    page: Any, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    place = urlsplit(page.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, names)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, {key.lower(): value for key, value in answer.getheaders()}, data


def picture(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def stream_of(page: Any, layout: str, count: int) -> list[np.ndarray]:
    """So many pictures of the endless stream."""
    found = []
    with urllib.request.urlopen(f"{page.url}stream/{layout}.mjpg", timeout=10) as answer:
        assert "multipart/x-mixed-replace" in answer.headers["Content-Type"]
        while len(found) < count:
            while (line := answer.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            found.append(picture(answer.read(length)))
            answer.readline()
    return found


def wait_for(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_layouts_move(serve: Serve) -> None:
    page = serve()
    sizes = {"colour": (128, 160), "thermal": (128, 160), "side-by-side": (128, 320)}
    for layout, size in sizes.items():
        first, *_, last = stream_of(page, layout, 4)
        assert first.shape[:2] == size
        assert np.abs(first.astype(int) - last).mean() > 1
    assert ask(page, "/stream/upside-down.mjpg")[0] == 404


def test_pages_and_figures(serve: Serve) -> None:
    page = serve()
    wait_for(lambda: page.count > 3)
    for path, kind in (
        ("/", "text/html"),
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
    ):
        status, headers, body = ask(page, path)
        assert status == 200 and headers["content-type"].startswith(kind) and len(body) > 200
        assert headers["x-frame-options"] == "DENY" and headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
    assert picture(ask(page, "/snapshot.jpg")[2]).shape == (128, 160, 3)
    figures = json.loads(ask(page, "/api/figures")[2])
    assert figures["source"] == "test pattern" and figures["recent_latency_ms"]["p50"] == 31
    for path in ("/static/", "/../access.py", "/page.py", "/api"):
        assert ask(page, path)[0] == 404


def test_metrics_are_prometheus_text(serve: Serve) -> None:
    page = serve()
    wait_for(lambda: page.count > 20)
    status, headers, body = ask(page, "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    types: dict[str, str] = {}
    helped = set()
    for line in body.decode().splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2] not in types
            types[line.split()[2]] = line.split()[3]
        else:
            match = re.fullmatch(
                r'([a-z_]+)(\{[a-z]+="[^"\\]*"(?:,[a-z]+="[^"\\]*")*\})? (-?[0-9.e+-]+)', line
            )
            assert match and match[1] in types and match[1] in helped, line
            float(match[3])
    assert types["ladle_rt_captured_total"] == "counter"
    assert 'ladle_rt_dropped_total{reason="late"}' in body.decode()
    assert 'ladle_rt_skipped_total{output="rtsp://***@host/out"} 3' in body.decode()
    assert 'ladle_rt_latency_seconds{quantile="0.99"}' in body.decode()
    assert 'ladle_rt_latency_seconds{quantile="0.5"} 0.031' in body.decode()


def test_health_follows_the_stream(serve: Serve) -> None:
    page = serve()
    assert ask(page, "/healthz")[0] == 200
    page.state, page.problem = "lost", "no frame for 5 s"
    status, _, body = ask(page, "/healthz")
    assert status == 503 and b"no frame for 5 s" in body


def test_buttons(serve: Serve) -> None:
    page = serve()
    on, off = json.dumps({"on": True}), json.dumps({"on": False})
    assert json.loads(ask(page, "/api/record", "POST", on, **BUTTON)[2]) == {"file": "made.mkv"}
    assert json.loads(ask(page, "/api/figures")[2])["recording"] == "made.mkv"
    assert ask(page, "/api/record", "POST", off, **BUTTON)[0] == 200
    assert json.loads(ask(page, "/api/snapshot", "POST", "", **BUTTON)[2]) == {"file": "shot.png"}
    page.hands.refuses = True
    status, _, body = ask(page, "/api/snapshot", "POST", "", **BUTTON)
    assert status == 409 and json.loads(body) == {"error": "disk full"}
    for wrong in ("", "[]", "{}", '{"on": 1}', "{"):
        assert ask(page, "/api/record", "POST", wrong, **BUTTON)[0] == 400
    assert page.hands.asked == ["record", "stop", "snapshot", "snapshot"]


def test_foreign_pages_press_no_buttons(serve: Serve) -> None:
    page = serve()
    assert ask(page, "/api/snapshot", "POST", "")[0] == 403
    assert ask(page, "/api/snapshot", "POST", "", Origin="http://evil.example", **BUTTON)[0] == 403
    port = urlsplit(page.url).port
    assert ask(page, "/", Host=f"evil.example:{port}")[0] == 403
    assert ask(page, "/", Host=f"localhost:{port}")[0] == 200
    assert page.hands.asked == []


def test_other_addresses_need_the_token(serve: Serve) -> None:
    page = serve("0.0.0.0:0")
    assert len(page.told) == 1
    token = page.told[0].partition("?token=")[2]
    assert len(token) >= 20
    page.sink.url = page.sink.url.replace("0.0.0.0", "127.0.0.1")
    for path in (
        "/",
        "/snapshot.jpg",
        "/stream/colour.mjpg",
        "/api/figures",
        "/metrics",
        "/healthz",
    ):
        status, _, body = ask(page, path)
        assert status == 403 and b"token" in body and token.encode() not in body
        assert ask(page, f"{path}?token=wrong")[0] == 403
    status, headers, _ = ask(page, f"/?token={token}")
    assert status == 302 and headers["location"] == "/"
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert ask(page, "/", Cookie=cookie.partition(";")[0])[0] == 200
    assert ask(page, "/metrics", Authorization=f"Bearer {token}")[0] == 200
    assert ask(page, "/api/snapshot", "POST", "", **BUTTON)[0] == 403


def test_twenty_viewers_and_some_that_never_read(serve: Serve) -> None:
    page = serve()
    place = urlsplit(page.url)
    before = threading.active_count()
    stuck = []
    for _ in range(10):
        viewer = socket.create_connection((place.hostname, place.port), timeout=10)
        viewer.sendall(b"GET /stream/colour.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stuck.append(viewer)
    got: list[int] = []
    readers = [
        threading.Thread(target=lambda: got.append(len(stream_of(page, "side-by-side", 8))))
        for _ in range(10)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    assert got == [8] * 10
    # The stream itself never waited for anybody.
    assert page.longest_write_s < 0.5
    for viewer in stuck:
        viewer.close()
    wait_for(lambda: threading.active_count() <= before + 40)


def test_ends_with_viewers_connected(serve: Serve) -> None:
    page = serve()
    place = urlsplit(page.url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as viewer:
        viewer.sendall(b"GET /stream/colour.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert viewer.recv(100)
        page.close()
        page.close()
    assert not any(thread.name == "preview" for thread in threading.enumerate())
    with pytest.raises((ConnectionError, OSError)):
        ask(page, "/")


def test_before_the_first_picture(serve: Serve) -> None:
    page = serve()
    page.hold()
    page.sink._pictures.newest = None
    assert ask(page, "/snapshot.jpg")[0] == 503


def test_addresses(serve: Serve) -> None:
    assert PreviewAddress.parse("8080") == PreviewAddress("127.0.0.1", 8080)
    assert PreviewAddress.parse("[::1]:80").local and PreviewAddress.parse("localhost:80").local
    assert not PreviewAddress.parse("0.0.0.0:80").local
    assert not PreviewAddress.parse("box.lan:80").local
    for wrong in ("", "host", "host:", "host:99999", ":x"):
        with pytest.raises(ConfigError, match=r"\[HOST:\]PORT"):
            PreviewAddress.parse(wrong)
    page = serve()
    with pytest.raises(OutputError, match="choose another port"):
        serve(str(urlsplit(page.url).port))
    with pytest.raises(OutputError, match="at least 8"):
        serve("0", "short")
