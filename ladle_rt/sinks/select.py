"""From what a person types after ``--output`` to a sink.

A kind of sink is one file and one line in `SINKS`, or an entry point of the group
``ladle_rt.sinks`` in another distribution: a callable that takes what stands behind the scheme
(the whole address, if it begins with ``scheme://``) and the `SinkContext`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast

from ladle_rt import plugins
from ladle_rt.addresses import masked
from ladle_rt.errors import OutputError
from ladle_rt.sinks.base import Sink, SinkContext


class SinkKind(NamedTuple):
    """One line of a table."""

    usage: str
    """How it is written."""
    target: str
    """``module:callable``, see `ladle_rt.plugins`."""
    place: Literal["path", "address", "name"] = "path"
    """What the callable takes: a `Path`, the whole address, or the name behind the scheme."""


_NETWORK = "ladle_rt.sinks.network_sink:NetworkSink"
_VIDEO = "ladle_rt.sinks.video_sink:open_growing_video"
_RECORDING = "ladle_rt.recording.recording_sink:RecordingSink"
SINKS = {
    "-": SinkKind("-", "ladle_rt.sinks.stdout_sink:open_stdout", "name"),
    "images": SinkKind("images:FOLDER", "ladle_rt.sinks.folder_sink:FolderSink"),
    "null": SinkKind("null", "ladle_rt.sinks.null_sink:open_null", "name"),
    "pipe": SinkKind("pipe:PATH", "ladle_rt.sinks.pipe_sink:open_pipe"),
    "recording": SinkKind("recording:FILE.lrec", _RECORDING),
    "rtp": SinkKind("rtp://", _NETWORK, "address"),
    "rtsp": SinkKind("rtsp://", _NETWORK, "address"),
    "shm": SinkKind("shm:NAME", "ladle_rt.sinks.shared_memory_sink:SharedMemorySink", "name"),
    "srt": SinkKind("srt://", _NETWORK, "address"),
    "udp": SinkKind("udp://", _NETWORK, "address"),
    "v4l2": SinkKind("v4l2:/dev/videoN", "ladle_rt.sinks.loopback_sink:LoopbackSink"),
    "y4m": SinkKind("y4m:-", "ladle_rt.sinks.stdout_sink:open_y4m", "name"),
}
"""By scheme."""
SUFFIXES = {
    ".lrec": SINKS["recording"],
    ".mkv": SinkKind("FILE.mkv", _VIDEO),
    ".mp4": SinkKind("FILE.mp4", _VIDEO),
}
"""Of files."""
FOLDER = SINKS["images"]
"""What ends with a slash."""


def kinds() -> str:
    """What can be typed, for people."""
    table = {**SUFFIXES, **SINKS}
    own = dict.fromkeys(kind.usage for kind in table.values())
    added = [f"{name}:..." for name in plugins.installed("ladle_rt.sinks") if name not in SINKS]
    return ", ".join([*own, "FOLDER/", *added])


def open_sinks(specs: Sequence[str], context: SinkContext) -> list[Sink]:
    """Open every output, or none.

    Args:
        specs: see `kinds`.
        context: what the frames will be like.

    Raises:
        OutputError: something that is no output, cannot be written, or is given twice.
        ConfigError: no video encoder opens here, or a plug-in that cannot be loaded.
    """
    found = [(spec, *_find(spec)) for spec in specs]
    taken: dict[str, str] = {}
    for spec, kind, place in found:
        if kind is SINKS["null"]:
            continue
        where = os.path.realpath(place) if kind.place == "path" else spec.removeprefix("y4m:")
        if where in taken:
            raise OutputError(
                f"{masked(spec)}: two outputs on one place (also {masked(taken[where])}); "
                "give each its own"
            )
        taken[where] = spec
    opened: list[Sink] = []
    try:
        for _, kind, place in found:
            if kind.place == "path":
                by_path = cast("Callable[[Path, SinkContext], Sink]", plugins.load(kind.target))
                opened.append(by_path(Path(place), context))
            else:
                by_name = cast("Callable[[str, SinkContext], Sink]", plugins.load(kind.target))
                opened.append(by_name(place, context))
    except BaseException:
        for sink in opened:
            sink.abort()
        raise
    return opened


def _find(spec: str) -> tuple[SinkKind, str]:
    """The kind of output that is meant, and its place."""
    scheme, _, rest = spec.partition(":")
    scheme = scheme.lower()
    is_address = rest.startswith("//")
    kind = SINKS.get(scheme)
    if kind is not None and kind.place == "address" and is_address:
        return kind, spec
    if kind is not None and kind.place != "address" and (rest or spec == kind.usage):
        return kind, rest
    if kind is None and rest:
        target = plugins.installed("ladle_rt.sinks").get(scheme)
        if target is not None:
            place = spec if is_address else rest
            return SinkKind(f"{scheme}:...", target, "address" if is_address else "name"), place
    if spec.endswith(("/", os.sep)):
        return FOLDER, spec
    by_suffix = SUFFIXES.get(Path(spec).suffix.lower())
    if by_suffix is not None and "://" not in spec:
        return by_suffix, spec
    raise OutputError(f"{masked(spec)}: not an output; expected one of {kinds()}")
