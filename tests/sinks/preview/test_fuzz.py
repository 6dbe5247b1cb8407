"""The page's HTTP entrance under mutated requests: no hang, no traceback, no growth."""

from __future__ import annotations

import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from ladle_rt.sinks.preview.connection_limits import ConnectionLimits

SEED = 20_261_125
HEADS = (b"Host: localhost", b"X-Ladle-Rt: 1", b"Accept: text/html", b"Connection: keep-alive",
         b"Content-Type: application/json", b"Authorization: Bearer abcdefgh",
         b"Cookie: ladle_rt_8080=abcdefgh; other=1", b"Origin: http://localhost",
         b"Content-Length: 12", b"Transfer-Encoding: chunked", b"Expect: 100-continue",
         b"Content-Encoding: gzip", b"Upgrade: websocket", b"Range: bytes=0-1")  # fmt: skip
PATHS = (b"/", b"/page.js", b"/snapshot.jpg?layout=thermal", b"/api/figures", b"/api/record",
         b"/api/switches/isotherm", b"/metrics", b"/healthz", b"/?token=abcdefgh")  # fmt: skip
"""Endless answers are left out: nothing would say that they are over."""
BODIES = (b'{"on": true}', b'c\r\n{"on": true}\r\n0\r\n\r\n', b"[" * 4000,
          b"", b"\x1f\x8b\x08\x00")  # fmt: skip
SPICE = (b"\x00", b"\xff\xfe", b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"%", b"%00", b"%ff", b"?",
         b"..", b"/", b";", b",", b'"', b"99999999999999999999", b"-1", b"a" * 9000, b"HTTP/9.9",
         "ü".encode(), b"\x16\x03\x01", b"[::1]", b"@")  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    """A request that is well formed in most places."""
    method = chance.choice((b"GET", b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT"))
    line = method + b" " + chance.choice(PATHS) + b" HTTP/1." + chance.choice((b"0", b"1", b"1"))
    heads = chance.sample(HEADS, chance.randrange(6))
    if chance.random() < 0.7:
        heads.insert(0, HEADS[0])
    data = bytearray(b"\r\n".join([line, *heads, b"", chance.choice(BODIES)]))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at:at] = chance.choice(SPICE)
            case 2:
                del data[at : at + chance.randrange(1, 20)]
            case _:
                data[at:at] = data[at : at + chance.randrange(1, 40)] * chance.randrange(1, 4)
        if not data:
            break
    return bytes(data)


def answers(port: int, requests: list[bytes]) -> list[bytes]:
    """What comes back for each, all sent before the first is read."""
    found = []
    with ExitStack() as stack:
        opened = []
        for data in requests:
            opened.append(
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            )
            # A refusal may come before the end is sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                opened[-1].sendall(data)
        for data, one in zip(requests, opened, strict=True):
            answer = b""
            try:
                while part := one.recv(65_536):
                    answer += part
            except TimeoutError:
                pytest.fail(f"no end after {data!r}")
            except ConnectionResetError:
                pass
            found.append(answer)
    return found


def attack(serve: Callable[..., Any], rounds: int, caplog: pytest.LogCaptureFixture) -> None:
    page = serve(limits=ConnectionLimits(request_s=0.25, answer_s=0.5))
    port = urlsplit(page.url).port or 0
    while not page.count:
        time.sleep(0.01)
    chance = random.Random(SEED)
    seen: Counter[bytes] = Counter()
    memory = psutil.Process().memory_info
    for number in range(rounds):
        if number == rounds // 2:
            before = memory().rss
        requests = [mutated(chance) for _ in range(100)]
        for data, found in zip(requests, answers(port, requests), strict=True):
            assert found == b"" or found.startswith(b"HTTP/"), (data, found)
            seen[found[9:12]] += 1
            assert found[9:10] != b"5", (data, found)
    # They reached the handlers, not just the parser.
    assert min(seen[code] for code in (b"200", b"400", b"403", b"404")) > rounds // 2, seen
    assert memory().rss - before < 50 * 2**20
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
    (last,) = answers(port, [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"])
    assert b"200 OK" in last
    print(dict(seen))


def test_mutated_requests(serve: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    attack(serve, 8, caplog)


@pytest.mark.slow
def test_many_mutated_requests(serve: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    attack(serve, 100, caplog)
