"""JSON and TOML files, read with bounds: size, depth, and numbers that JSON does not have."""

from __future__ import annotations

import importlib
import json
import math
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ladle_rt.errors import LadleError

MAX_BYTES = 64 << 20
"""Largest document; a manifest with every layer of a plan is a hundredth of it."""
_TOO_DEEP = "values nested too deeply"


def read_text(path: Path, expected: str, error: type[LadleError]) -> str:
    """A text in UTF-8.

    Args:
        path: a regular file, at most `MAX_BYTES`.
        expected: what to call its content in messages.
        error: raised in one line where it cannot be read.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("no regular file")
        if facts.st_size > MAX_BYTES:
            raise ValueError(f"{facts.st_size >> 20} MB, more than {MAX_BYTES >> 20}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or failure
        raise error(f"{path}: expected {expected}, received {reason}") from failure


def read_json(path: Path, expected: str, error: type[LadleError]) -> Any:
    """The values of a JSON file; arguments and errors as of `read_text`."""
    return _parse(parse_json, path, expected, error)


def read_toml(path: Path, expected: str, error: type[LadleError]) -> dict[str, Any]:
    """The values of a TOML file; arguments and errors as of `read_text`."""
    # Here, because Python 3.10 has it in a package of its own, which few commands need.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    values: dict[str, Any] = _parse(toml.loads, path, expected, error)
    return values


def json_number(value: float) -> float | None:
    """A figure in five digits; ``None`` where it is infinite or NaN, which JSON does not know."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def parse_json(text: str) -> Any:
    """The values of a JSON text.

    Raises:
        ValueError: not JSON, nested too deeply, or with NaN or Infinity, which Python would take.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def _parse(parse: Callable[[str], Any], path: Path, expected: str, error: type[LadleError]) -> Any:
    text = read_text(path, expected, error)
    try:
        return parse(text)
    except (ValueError, RecursionError) as failure:
        reason = _TOO_DEEP if isinstance(failure, RecursionError) else failure
        raise error(f"{path}: expected {expected}, received {reason}") from failure


def _refuse(constant: str) -> Any:
    raise ValueError(f"the number {constant}, which JSON does not have")
