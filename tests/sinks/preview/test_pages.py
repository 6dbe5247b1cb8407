"""Every address and every refusal, by plain HTTP."""

from __future__ import annotations

import http.client
import json
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
from prometheus_client.parser import text_string_to_metric_families

from ladle_rt.errors import OutputError
from ladle_rt.sinks.switches import Switch

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
        ("/link.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
        ("/page.css", "text/css"),
    ):
        status, headers, body = ask(page, path)
        assert status == 200 and headers["content-type"].startswith(kind) and len(body) > 200
        assert headers["x-frame-options"] == "DENY" and headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
    assert picture(ask(page, "/snapshot.jpg")[2]).shape == (128, 160, 3)
    both = picture(ask(page, "/snapshot.jpg?layout=side-by-side")[2])
    assert both.shape == (128, 320, 3)
    assert ask(page, "/snapshot.jpg?layout=upside-down")[0] == 404
    figures = json.loads(ask(page, "/api/figures")[2])
    assert figures["source"] == "test pattern" and figures["recent_latency_ms"]["p50"] == 31
    for path in ("/static/", "/../access.py", "/page.py", "/api"):
        assert ask(page, path)[0] == 404


def test_metrics_are_prometheus_text(serve: Serve) -> None:
    page = serve()
    wait_for(lambda: page.count > 20)
    status, headers, body = ask(page, "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    families = {one.name: one for one in text_string_to_metric_families(body.decode())}
    assert all(one.documentation for one in families.values())
    captured, latency = families["ladle_rt_captured"], families["ladle_rt_latency_seconds"]
    assert captured.type == "counter" and captured.samples[0].name == "ladle_rt_captured_total"
    values = {one.labels["quantile"]: one.value for one in latency.samples}
    assert latency.type == "gauge" and values["0.5"] == 0.031 and set(values) >= {"0.9", "0.99"}
    (skipped,) = families["ladle_rt_skipped"].samples
    assert skipped.labels == {"output": "rtsp://***@host/out"} and skipped.value == 3
    (dropped,) = families["ladle_rt_dropped"].samples
    assert dropped.labels == {"reason": "late"} and dropped.value >= 2
    assert families["ladle_rt_cpu_percent"].samples[0].value == 81


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


def test_switches(serve: Serve) -> None:
    turned = {"isotherm": False, "steady": True}

    def refuse(on: bool) -> None:
        raise OutputError("this engine has none")

    def switch(name: str) -> Switch:
        return Switch(
            name,
            name.capitalize(),
            lambda: turned[name],
            lambda on: turned.update({name: on}),
            name[0],
        )

    broken = Switch("broken", "Broken", lambda: False, refuse)
    page = serve(switches=(switch("isotherm"), switch("steady"), broken))
    figures = json.loads(ask(page, "/api/figures")[2])
    assert figures["switches"][0] == {
        "name": "isotherm", "label": "Isotherm", "key": "i", "on": False
    }  # fmt: skip
    on = json.dumps({"on": True})
    status, _, body = ask(page, "/api/switches/isotherm", "POST", on, **BUTTON)
    assert status == 200 and json.loads(body) == {"on": True}
    assert turned == {"isotherm": True, "steady": True}
    assert json.loads(ask(page, "/api/figures")[2])["switches"][0]["on"] is True
    status, _, body = ask(page, "/api/switches/broken", "POST", on, **BUTTON)
    assert status == 409 and json.loads(body) == {"error": "this engine has none"}
    assert ask(page, "/api/switches/other", "POST", on, **BUTTON)[0] == 404
    assert ask(page, "/api/switches/isotherm", "POST", '{"on": 0}', **BUTTON)[0] == 400
    assert ask(page, "/api/switches/isotherm", "POST", on)[0] == 403
    with pytest.raises(ValueError, match="hyphens"):
        Switch("../x", "X", lambda: False, refuse)


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
        reader.join(120)
    assert got == [8] * 10
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
