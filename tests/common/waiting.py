"""What tests of threads and processes wait for, and the ports that they meet on."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any


def wait_for(condition: Callable[[], Any], limit_s: float = 120.0) -> Any:
    """What a condition gives when it is true; fails the test where that takes too long."""
    end_s = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end_s, "it did not get there"
        time.sleep(0.03)
    return found


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of this machine that nobody has."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
