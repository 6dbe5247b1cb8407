"""Files that a stream would write, held against those that it reads and against each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ladle_rt.addresses import masked
from ladle_rt.errors import OutputError

ON_DISK = ("recording", "images", "pipe", "v4l2")
"""Schemes whose rest is a path."""


def refuse_shared_places(
    device: str, outputs: Sequence[str], others: Mapping[str, Path | None]
) -> None:
    """Refuse a stream that would write over its own input, or two things into one place.

    Args:
        device: where frames come from, as typed.
        outputs: where pictures go, as typed.
        others: further files by option; ``None`` where not asked for.

    Raises:
        OutputError: two of them are one file or folder, by whatever name.
    """
    wanted = [(f"--output {masked(spec)}", _path(spec)) for spec in outputs]
    wanted += [(f"{option} {path}", path) for option, path in others.items()]
    source = _path(device)
    taken: list[tuple[str, Path]] = []
    for name, path in wanted:
        if path is None:
            continue
        if source is not None and _same(path, source):
            raise OutputError(f"{name}: that is the input itself; choose another place")
        for other, place in taken:
            if _same(path, place):
                raise OutputError(f"{name}: the same place as {other}; give each its own")
        taken.append((name, path))


def _path(spec: str) -> Path | None:
    """Where on disk something lies; ``None`` of addresses and names."""
    scheme, colon, rest = spec.partition(":")
    if colon and scheme in ON_DISK:
        return Path(rest)
    if spec.isdecimal():
        return Path(f"/dev/video{spec}")
    named = rest.startswith("//") or scheme in ("shm", "csi", "gst", "synthetic", "null")
    return None if named else Path(spec)


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)
