"""Named ranges for Nsight Systems; without NVIDIA's ``nvtx`` package they cost nothing."""

from __future__ import annotations

import contextlib
import functools
import importlib
from typing import Any


def mark(name: str) -> contextlib.AbstractContextManager[Any]:
    """A range around host work, for example ``with mark("upload"):``."""
    annotate = _annotate()
    return contextlib.nullcontext() if annotate is None else annotate(name, domain="ladle-rt")


@functools.cache
def _annotate() -> Any:
    try:
        return importlib.import_module("nvtx").annotate
    except ImportError:
        return None
