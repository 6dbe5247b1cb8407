"""Visitors who mean no good, one test for each way: real sockets, raw bytes."""

from __future__ import annotations

import logging
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ladle_rt.sinks.preview import connection_limits
from ladle_rt.sinks.preview.connection_limits import ConnectionLimits

Serve = Callable[..., Any]


def port_of(page: Any) -> int:
    return urlsplit(page.url).port or 0


@contextmanager
def connected(page: Any) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port_of(page)), timeout=10) as opened:
        yield opened


def read_all(opened: socket.socket) -> bytes:
    """Everything until the other side closes; a reset is an end too."""
    found = b""
    try:
        while data := opened.recv(65_536):
            found += data
    except (BrokenPipeError, ConnectionResetError):
        pass
    return found


def send(page: Any, data: bytes) -> bytes:
    with connected(page) as opened:
        opened.sendall(data)
        return read_all(opened)


def get(path: str = "/", *headers: bytes, host: bytes = b"localhost") -> bytes:
    lines = [b"GET %s HTTP/1.1" % path.encode(), b"Host: " + host, *headers, b"", b""]
    return b"\r\n".join(lines)


def post(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    """A press of the record button."""
    size = b"Content-Length: %d" % (len(body) if length is None else length)
    head = get("/api/record", b"X-Ladle-Rt: 1", size, *headers)
    return head.replace(b"GET", b"POST", 1) + body


def status(answer: bytes) -> int:
    return int(answer.split()[1]) if answer else 0


@pytest.fixture
def page(serve: Serve) -> Any:
    return serve()


@pytest.fixture
def hasty(serve: Serve) -> Any:
    """A page that waits for nobody."""
    return serve(limits=ConnectionLimits(connections=8, request_s=0.4, answer_s=0.4, viewer_s=0.4))


@pytest.fixture(autouse=True)
def no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [
        record for record in caplog.get_records("call") if record.levelno >= logging.ERROR
    ] == []


def test_a_head_that_never_ends_is_cut_off(hasty: Any) -> None:
    with connected(hasty) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        opened.settimeout(60)
        for number in range(300):  # A byte now and then does not help.
            try:
                opened.sendall(b"X-%d: a\r\n" % number)
            except OSError:
                break
            time.sleep(0.1)
        else:
            pytest.fail("it was listened to for ever")
        assert read_all(opened) == b""
    assert status(send(hasty, get())) == 200


def test_a_body_that_never_comes_is_cut_off(hasty: Any) -> None:
    assert send(hasty, post(b"{", length=100)) == b""
    assert hasty.hands.asked == []


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: aaaaaaaa\r\n" * 2000 + b"\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X" * 20_000,
    ],
    ids=["a long header", "many headers", "a long address", "a name without end"],
)
def test_oversize_heads_are_refused(page: Any, data: bytes) -> None:
    answer = send(page, data)
    # The system may throw the answer away with what was not read.
    assert status(answer) in (0, 400, 431)
    assert status(send(page, get())) == 200


def test_oversize_bodies_are_refused(page: Any) -> None:
    assert status(send(page, post(b" " * 9000))) == 413
    assert page.hands.asked == []


def test_a_connection_is_for_one_request(page: Any) -> None:
    answer = send(page, get("/healthz") * 3)
    assert answer.count(b"HTTP/1.1 200") == 1 and b"Connection: close" in answer


def test_who_says_nothing_makes_room(serve: Serve) -> None:
    page = serve(limits=ConnectionLimits(connections=8))
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(page)) for _ in range(40)]
        assert status(send(page, get())) == 200
        idle[0].settimeout(5)
        assert read_all(idle[0]) == b""


def test_viewers_that_take_nothing_are_let_go(hasty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "SEND_BUFFER", 4096)
    with ExitStack() as stack:
        for _ in range(8):
            stuck = stack.enter_context(socket.socket())
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", port_of(hasty)))
            stuck.sendall(get("/stream/side-by-side.mjpg"))
        time.sleep(0.2)
        end_s = time.monotonic() + 30
        # Nobody is sent away for another visitor while all of them watch.
        while status(send(hasty, get())) != 200:
            assert time.monotonic() < end_s
            time.sleep(0.1)


def test_busy_is_said(serve: Serve) -> None:
    page = serve(limits=ConnectionLimits(connections=2))
    with ExitStack() as stack:
        for _ in range(2):
            viewer = stack.enter_context(connected(page))
            viewer.sendall(get("/api/events"))
            assert b"200 OK" in viewer.recv(4096)
        assert status(send(page, get())) == 503


IDLE = """
import resource, socket, sys, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 4096))
from ladle_rt.pipeline.frame_counter import FrameCounter
from ladle_rt.pipeline.monitor import Monitor
from ladle_rt.sinks.preview import open_preview
from ladle_rt.sinks.recorder import Recorder
from pathlib import Path
told = []
monitor = Monitor(FrameCounter())
recorder = Recorder(Path("."), lambda path: None, threading.Event())
page = open_preview("0", None, lambda: __import__(
    "ladle_rt.thermal.thermal_view"
).thermal.thermal_view.ThermalView(
    __import__("ladle_rt.thermal.normalization").thermal.normalization.ThermalNormalization()
), monitor.figures, recorder, told.append)
print(told[0], flush=True)
for line in sys.stdin:
    # What the stream does beside the page: figures, and files of its own.
    monitor._load_at_s = 0.0
    figures = monitor.figures()
    with open("/dev/null"):
        print("rss_mb" in figures.load, flush=True)
page.close()
"""


def test_many_idle_connections_do_not_end_the_stream() -> None:
    """Twice as many as the process may open files."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", IDLE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        ExitStack() as stack,
    ):
        assert process.stdin is not None and process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2].strip(" /\n"))
        for _ in range(256):
            opened = stack.enter_context(socket.socket())
            opened.settimeout(10)
            opened.connect(("127.0.0.1", port))
            opened.setblocking(False)
        for _ in range(3):
            process.stdin.write("look\n")
            process.stdin.flush()
            assert process.stdout.readline() == "True\n"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as visitor:
            visitor.sendall(get("/page.css"))
            assert status(read_all(visitor)) == 200
        process.stdin.close()
        errors = process.stderr.read() if process.stderr else ""
        assert process.wait(20) == 0 and errors == ""


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:80",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"127.0.0.1:80@evil.example",
        b"\xff\xfe",
        "münchen".encode(),
        b"",
    ],
)
def test_wrong_host_is_refused(page: Any, host: bytes) -> None:
    """A name that points here may belong to anybody (DNS rebinding)."""
    assert status(send(page, get(host=host))) == 403


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:80", b"127.0.0.1", b"127.0.0.1:80",
                                  b"[::1]:80", b"[::1]", b"127.8.8.8"])  # fmt: skip
def test_local_hosts_are_let_in(page: Any, host: bytes) -> None:
    assert status(send(page, get(host=host))) == 200


def test_no_host_is_refused(page: Any) -> None:
    assert status(send(page, b"GET / HTTP/1.0\r\n\r\n")) == 403


@pytest.mark.parametrize("value", [b"\xff\xfe\x80", "größe".encode(), b"\xe2\x82"])
@pytest.mark.parametrize(
    "header", [b"Cookie: ladle_rt_%d=", b"Cookie: %d", b"Authorization: Bearer %d"]
)
def test_what_is_not_ascii_is_refused_in_words(serve: Serve, header: bytes, value: bytes) -> None:
    page = serve("0.0.0.0:0")
    answer = send(page, get("/", header % port_of(page) + value))
    assert status(answer) == 403 and b"token" in answer


def test_what_is_not_ascii_elsewhere(page: Any) -> None:
    assert status(send(page, get("/", b"X-Any: \xff\xfe"))) == 200
    assert status(send(page, get("/", b"Expect: \xff\xfe"))) == 200
    assert status(send(page, get("/", b"Cookie: \xff=\xfe; ;;=,"))) == 200
    for path in (b"/\xff\xfe", b"/%ff%fe", b"/stream/%ff.mjpg", b"/snapshot.jpg?layout=%ff"):
        answer = send(page, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status(answer) in (400, 404), path
    for charset in (b"utf-8", b"klingon"):
        kind = b"Content-Type: application/json; charset=" + charset
        assert status(send(page, post(b"\xff\xfe\x00\x01", kind))) == 400
    assert status(send(page, post(b"[" * 4000))) == 400
    assert page.hands.asked == []


def test_pages_on_two_ports_of_a_host_do_not_mix(serve: Serve) -> None:
    """Browsers send every cookie of a host to each of its ports."""
    one, other = serve("0", "token-of-one"), serve("0", "token-of-other")
    cookies = []
    for page in (one, other):
        answer = send(page, get(f"/?token={page.sink.urls[0].rpartition('=')[2]}"))
        found = re.search(rb"Set-Cookie: ([^;]+); HttpOnly; Path=/; SameSite=Lax", answer)
        assert status(answer) == 302 and found is not None
        cookies.append(found[1])
    names = {cookie.partition(b"=")[0] for cookie in cookies}
    assert names == {b"ladle_rt_%d" % port_of(page) for page in (one, other)}
    both = b"Cookie: " + b"; ".join(cookies)
    for page, own, foreign in ((one, *cookies), (other, *reversed(cookies))):
        assert status(send(page, get("/", both))) == 200
        assert status(send(page, get("/", b"Cookie: " + own))) == 200
        assert status(send(page, get("/", b"Cookie: " + foreign))) == 403
        stolen = own.partition(b"=")[0] + b"=" + foreign.partition(b"=")[2]
        assert status(send(page, get("/", b"Cookie: " + stolen))) == 403


def test_the_token(serve: Serve) -> None:
    page = serve("0.0.0.0:0")
    token = page.told[0].partition("?token=")[2].encode()
    assert len(token) >= 20 and all(line.endswith(token.decode()) for line in page.told)
    for path in ("/", "/page.css", "/snapshot.jpg", "/stream/colour.mjpg", "/api/figures",
                 "/metrics", "/healthz", "/nothing"):  # fmt: skip
        answer = send(page, get(path))
        assert status(answer) == 403 and b"token" in answer and token not in answer
        assert status(send(page, get(f"{path}?token=wrong"))) == 403
    answer = send(page, get(f"/?token={token.decode()}"))
    assert status(answer) == 302 and b"\r\nLocation: /\r\n" in answer
    # Nobody is sent to another site, and scripts need no cookie.
    for path in ("//evil.example/", "/metrics"):
        answer = send(page, get(f"{path}?token={token.decode()}"))
        assert b"Location" not in answer and status(answer) in (200, 404)
    assert status(send(page, get("/metrics", b"Authorization: Bearer " + token))) == 200


def test_foreign_pages_press_no_buttons(serve: Serve) -> None:
    page = serve("0", "token-of-one")
    cookie = b"Cookie: ladle_rt_%d=token-of-one" % port_of(page)
    host = b"localhost:%d" % port_of(page)
    origin = b"Origin: http://" + host
    button = b"X-Ladle-Rt: 1"
    for path in ("/api/snapshot", "/api/record", "/api/switches/isotherm"):
        for headers in (
            (cookie,),
            (cookie, origin),
            (cookie, button, b"Origin: http://evil.example"),
            (cookie, button, b"Origin: null"),
            (cookie, button, b"Origin: http://localhost:1"),
            (button, origin),
        ):
            data = get(path, *headers, host=host).replace(b"GET", b"POST", 1)
            assert status(send(page, data)) == 403, (path, headers)
    assert page.hands.asked == []
    data = get("/api/snapshot", cookie, button, origin, host=host).replace(b"GET", b"POST", 1)
    assert status(send(page, data)) == 200 and page.hands.asked == ["snapshot"]


@pytest.mark.parametrize("path", ["/", "/nothing", "/snapshot.jpg", "/stream/colour.mjpg",
                                  "/api/events", "/metrics"])  # fmt: skip
def test_every_answer_has_the_headers(page: Any, path: str) -> None:
    with connected(page) as opened:
        opened.sendall(get(path))
        head = b""
        while b"\r\n\r\n" not in head:
            data = opened.recv(4096)
            assert data
            head += data
    for wanted in (
        b"X-Frame-Options: DENY", b"Cache-Control: no-store", b"X-Content-Type-Options: nosniff",
        b"Cross-Origin-Resource-Policy: same-origin", b"default-src 'none'", b"no-referrer",
    ):  # fmt: skip
        assert wanted in head
    assert b"access-control" not in head.lower()


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Length: 3\r\n\r\n0\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"\x00" * 64,
    ],
)
def test_other_protocols_get_an_end(page: Any, data: bytes) -> None:
    with connected(page) as opened:
        opened.sendall(data)
        opened.shutdown(socket.SHUT_WR)
        answer = read_all(opened)
    assert status(answer) not in range(500, 600)
    assert status(send(page, get())) == 200


def test_only_the_files_of_the_page_are_served(page: Any) -> None:
    for path in ("/../access.py", "/%2e%2e/access.py", "/static/page.js", "/sink.py",
                 "/..%2f..%2f..%2fetc/passwd", str(Path("/etc/passwd"))):  # fmt: skip
        assert status(send(page, get(path))) == 404
