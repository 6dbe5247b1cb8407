"""What tests of threads and processes wait for, and the ports that they meet on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from helpers import free_port

__all__ = ["free_port", "wait_for"]


def wait_for(condition: Callable[[], Any], limit_s: float = 120.0) -> Any:
    """What a condition gives when it is true; fails the test where that takes too long."""
    end_s = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end_s, "it did not get there"
        time.sleep(0.03)
    return found
