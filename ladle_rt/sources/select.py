"""From what a person types after ``--device`` to a source.

A kind of source is one file and one line in `SOURCES`, or an entry point of the group
``ladle_rt.sources`` in another distribution: a callable that takes what stands behind the
scheme (the whole address, if it begins with ``scheme://``) and the `SourceOptions`.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

from ladle_rt import plugins
from ladle_rt.addresses import masked
from ladle_rt.errors import ConfigError, InputError, InputNotFoundError
from ladle_rt.sources.base import Source, SourceEvent, SourceOptions
from ladle_rt.sources.opening import open_patiently
from ladle_rt.sources.pacing import LoopSource, RealtimeSource
from ladle_rt.sources.reconnect import ReconnectingSource
from ladle_rt.sources.scene_source import SceneSource
from ladle_rt.thermal.scene_reader import ReadOptions

Factory = Callable[[str, SourceOptions], Source]


class SourceKind(NamedTuple):
    """One line of the table."""

    usage: str
    """How it is written; an address where this contains ``://``."""
    target: str
    """``module:callable``, see `ladle_rt.plugins`."""


_NETWORK = "ladle_rt.sources.network_source:NetworkSource"
_PATTERN = "ladle_rt.sources.synthetic_source:open_pattern"
SOURCES = {
    "csi": SourceKind("csi:N", "ladle_rt.sources.gstreamer_source:open_csi"),
    "gst": SourceKind("gst:PIPELINE", "ladle_rt.sources.gstreamer_source:GStreamerSource"),
    "http": SourceKind("http://", "ladle_rt.sources.snapshot_source:open_http"),
    "https": SourceKind("https://", "ladle_rt.sources.snapshot_source:open_http"),
    "recording": SourceKind("recording:FILE", "ladle_rt.recording.recording_source:open_recording"),
    "rtmp": SourceKind("rtmp://", _NETWORK),
    "rtmps": SourceKind("rtmps://", _NETWORK),
    "rtp": SourceKind("rtp://", _NETWORK),
    "rtsp": SourceKind("rtsp://", _NETWORK),
    "rtsps": SourceKind("rtsps://", _NETWORK),
    "snapshot": SourceKind("snapshot:URL", "ladle_rt.sources.snapshot_source:SnapshotSource"),
    "srt": SourceKind("srt://", _NETWORK),
    "synthetic": SourceKind("synthetic[:WxH@FPS]", _PATTERN),
    "tcp": SourceKind("tcp://", _NETWORK),
    "udp": SourceKind("udp://", _NETWORK),
    "v4l2": SourceKind("v4l2:DEVICE", "ladle_rt.sources.v4l2.v4l2_source:V4l2Source"),
}
"""By scheme."""
SUFFIXES = {".lrec": SOURCES["recording"], ".sdp": SourceKind("FILE.sdp", _NETWORK)}
"""Of files; all others are pictures or videos."""
_LEVELS = frozenset(SOURCES[name].target for name in ("recording", "synthetic"))
"""Targets that never deliver colours."""
V4L2_MAJOR = 81
"""Of device numbers; see Linux's admin-guide/devices.txt."""


def kinds() -> str:
    """What can be typed, for people."""
    own = dict.fromkeys(kind.usage for kind in [*SUFFIXES.values(), *SOURCES.values()])
    added = [f"{name}:..." for name in plugins.installed("ladle_rt.sources") if name not in SOURCES]
    return ", ".join(["/dev/videoN", "FILE", "FOLDER", "-", *own, *added])


def open_source(
    spec: str,
    options: SourceOptions,
    on_event: Callable[[SourceEvent], None] = lambda event: None,
    stop: threading.Event | None = None,
) -> Source:
    """Open a source by its name.

    Cameras and addresses are watched and reopened for ever once they were open; recordings are
    delivered as fast as they are asked for, unless ``options`` say otherwise.

    Args:
        spec: see `kinds`.
        options: how to open it.
        on_event: told when a live source goes and comes back.
        stop: when set, opening ends; hanging drivers and peers that do not answer are left behind.

    Raises:
        StoppedError: ``stop`` was set before the source was open.
        InputError: no such kind of source, or it cannot be used.
        LadleError: what else its own module refuses.
    """
    if options.start_s > 0 and not _has_start(Path(spec)):
        raise ConfigError(
            f"{masked(spec)}: only videos, folders and stacks of images have a start that can be "
            "skipped"
        )

    def open_one() -> Source:
        return _open(spec, options)

    first = open_patiently(open_one, options.wait, stop or threading.Event())
    if isinstance(first, SceneSource) and isinstance(first.inner, RealtimeSource):
        return first  # A recording that only behaves like a camera cannot be lost.
    waiting = [first]

    def reopen() -> Source:
        return waiting.pop() if waiting else open_one()

    if first.info.live:
        return ReconnectingSource(reopen, timeout_s=options.timeout_s, on_event=on_event)
    source = LoopSource(reopen) if options.loop else first
    return RealtimeSource(source) if options.realtime else source


def _has_start(path: Path) -> bool:
    from ladle_rt.sources.folder_source import is_sequence

    return is_sequence(path) or (path.is_file() and path.suffix.lower() not in SUFFIXES)


def _open(spec: str, options: SourceOptions) -> Source:
    target, place = _by_scheme(spec)
    path = Path(spec)
    if target is None and path.is_file() and (kind := SUFFIXES.get(path.suffix.lower())):
        target, place = kind.target, spec
    if target is not None:
        _refuse_read_options(spec, target, options.read)
        source = cast(Factory, plugins.load(target))(place, options)
        return SceneSource(source, options.read)
    if "://" in spec:
        raise InputError(f"{masked(spec)}: not a source; expected one of {kinds()}")
    # These read scenes by themselves: they have more to go by than the pixels.
    from ladle_rt.sources.folder_source import FolderSource, is_sequence
    from ladle_rt.sources.video_source import VideoSource

    if spec != "-":
        if is_sequence(path):
            return FolderSource(path, options)
        if not path.exists():
            raise InputNotFoundError(f"{spec}: no such file or folder; sources are {kinds()}")
    return VideoSource(
        path, options.start_s, options.duration_s, options.allow_colour, options.read
    )


def _refuse_read_options(spec: str, target: str, read: ReadOptions) -> None:
    """What can only be done to pictures in colour, or in files."""
    if read.from_palette is not None and target in _LEVELS:
        raise ConfigError(
            f"{masked(spec)}: --from-palette expects pictures in colour, received a source that "
            "delivers levels; leave it out"
        )
    if read.track is not None:
        raise ConfigError(f"{masked(spec)}: only video files have tracks; leave --track out")


def _by_scheme(spec: str) -> tuple[str | None, str]:
    """The target that a scheme names, and what it is to open."""
    if spec.isdecimal():
        return SOURCES["v4l2"].target, f"/dev/video{spec}"
    if re.match(r"/dev/(video\d|v4l/)", spec) or _is_camera(Path(spec)):
        return SOURCES["v4l2"].target, spec
    scheme, colon, rest = spec.partition(":")
    scheme = scheme.lower()
    is_address = rest.startswith("//")
    place = spec if is_address else rest
    if (kind := SOURCES.get(scheme)) is not None:
        fits = ("://" in kind.usage) == is_address and (rest or "[" in kind.usage)
        return (kind.target, place) if fits else (None, place)
    added = plugins.installed("ladle_rt.sources") if colon and rest else {}
    return added.get(scheme), place


def _is_camera(path: Path) -> bool:
    """Whether a link such as ``/dev/thermal0`` leads to a V4L2 device, by its number."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == V4L2_MAJOR
