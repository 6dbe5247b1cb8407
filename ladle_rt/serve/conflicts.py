"""Cameras that would get into each other's way: one device, one name, one output twice."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ladle_rt.addresses import masked
from ladle_rt.errors import ConfigError

Claim = tuple[str, str, Sequence[str]]
"""Name, source and outputs of a camera."""


def refuse_conflicts(cameras: Sequence[Claim]) -> None:
    """Refuse cameras that cannot run together.

    A device, an address or a pipe has one reader; files, folders and the test pattern have any
    number. No two write into one place.

    Raises:
        ConfigError: two with one name, source or output, by whatever name.
    """
    names: set[str] = set()
    sources: dict[object, str] = {}
    places: dict[str, str] = {}
    for name, source, outputs in cameras:
        if name.lower() in names:
            raise ConfigError(f"two cameras are called {name}; give each its own name")
        names.add(name.lower())
        device = _device(source)
        if device is not None and (other := sources.setdefault(device, name)) != name:
            raise ConfigError(
                f"cameras {other} and {name} are on one device, {masked(source)}; "
                "a device can be opened once"
            )
        for output in outputs:
            place = _place(output)
            if place is not None and (other := places.setdefault(place, name)) != name:
                raise ConfigError(
                    f"cameras {other} and {name} write to one place, {masked(output)}; "
                    "give each its own"
                )


def _device(source: str) -> object | None:
    """What makes a source one of its kind; ``None`` where any number may read it."""
    scheme, colon, rest = source.partition(":")
    if colon and not rest.startswith("//") and scheme in ("synthetic", "recording", "snapshot"):
        return None
    if source == "synthetic":
        return None
    if rest.startswith("//"):
        # HTTP pictures may be fetched by many, but twice from one camera is a slip of the pen.
        return f"{scheme.lower()}:{rest}"
    path = Path(f"/dev/video{source}" if source.isdecimal() else source)
    if colon and scheme == "v4l2":
        path = Path(rest)
    try:
        facts = path.stat()
    except OSError:
        # Not there yet: devices by their name, and what else it may be is no device.
        return os.path.realpath(path) if str(path).startswith("/dev/") else _named(source, colon)
    if stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode):
        return None
    return ("device", facts.st_rdev) if stat.S_ISCHR(facts.st_mode) else os.path.realpath(path)


def _named(source: str, colon: str) -> str | None:
    """``csi:0``, ``gst:...`` and plug-ins; ``None`` of files that are not there."""
    return source if colon or source == "-" else None


def _place(output: str) -> str | None:
    scheme, colon, rest = output.partition(":")
    if scheme == "null":
        return None
    if colon and (rest.startswith("//") or scheme == "shm"):
        return output
    if colon and scheme in ("recording", "images", "pipe", "v4l2"):
        return os.path.realpath(rest)
    return output if output in ("-", "y4m:-") else os.path.realpath(output)
