"""A page that is served, and requests to it: those of the page's own tests."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TESTS = Path(__file__).resolve().parents[1] / "tests" / "sinks" / "preview"


def load_preview_test(name: str) -> Any:
    """A module of the page's tests."""
    spec = importlib.util.spec_from_file_location(f"preview_{name}", TESTS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def requests() -> Callable[[random.Random], bytes]:
    """Makes a request that is well formed in most places."""
    made: Callable[[random.Random], bytes] = load_preview_test("test_fuzz").mutated
    return made


def serve(**settings: Any) -> Any:
    """A page with pictures that move, see the tests' `Page`; ``port`` is where.

    Whoever says nothing is cut off soon, so that a case does not wait for it.
    """
    from ladle_rt.sinks.preview.connection_limits import ConnectionLimits

    settings.setdefault("limits", ConnectionLimits(request_s=0.1, answer_s=0.3))
    page = load_preview_test("conftest").Page(**settings)
    page.port = urlsplit(page.url).port
    return page
