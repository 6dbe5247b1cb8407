"""From what a person types after ``--device`` to a source."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from ladle_rt.addresses import masked
from ladle_rt.errors import InputError, InputNotFoundError
from ladle_rt.sources.base import Source, SourceEvent, SourceOptions
from ladle_rt.sources.pacing import LoopSource, RealtimeSource
from ladle_rt.sources.reconnect import ReconnectingSource
from ladle_rt.sources.scene import SceneSource

KINDS = (
    "/dev/videoN, rtsp://, rtsps://, rtp://, udp://, srt://, http://, https://, tcp://, FILE, "
    "FOLDER, csi:N, gst:PIPELINE, synthetic[:WxH@FPS], recording:FILE"
)
NETWORK = ("rtsp", "rtsps", "rtp", "udp", "srt", "http", "https", "tcp")
V4L2_MAJOR = 81
"""Of device numbers; see Linux's admin-guide/devices.txt."""
RECORDING = ".lrec"
SYNTHETIC_SECONDS = 20.0
"""Length of the drive that the test pattern repeats."""


def open_source(
    spec: str,
    options: SourceOptions,
    on_event: Callable[[SourceEvent], None] = lambda event: None,
) -> Source:
    """Open a source by its name.

    Cameras and addresses are watched and reopened for ever once they were open; recordings are
    delivered as fast as they are asked for, unless ``options`` say otherwise.

    Args:
        spec: see `KINDS`.
        options: how to open it.
        on_event: told when a live source goes and comes back.

    Raises:
        InputError: no such kind of source, or it cannot be used.
        LadleError: what else its own module refuses.
    """
    scheme, _, rest = spec.partition(":")
    device = _device(spec)
    if device is not None:
        from ladle_rt.sources.v4l2.source import V4l2Source

        return _watched(lambda: V4l2Source(device, options), options, on_event)
    if scheme.lower() in NETWORK and rest.startswith("//"):
        from ladle_rt.sources.network import NetworkSource

        return _watched(lambda: NetworkSource(spec, options), options, on_event)
    if scheme in ("gst", "csi") and rest:
        from ladle_rt.sources.gstreamer import GStreamerSource, csi_pipeline

        pipeline = csi_pipeline(rest, options) if scheme == "csi" else rest
        return _watched(lambda: GStreamerSource(pipeline, options), options, on_event)
    if scheme == "synthetic":
        return RealtimeSource(
            LoopSource(lambda: SceneSource(_synthetic(rest, options), options.read))
        )
    return _recorded(lambda: _open_recording(spec, options), options)


def _device(spec: str) -> str | None:
    """The path of a V4L2 device, where one is meant."""
    if spec.isdecimal():
        return f"/dev/video{spec}"
    if spec.startswith("v4l2:"):
        return spec.removeprefix("v4l2:")
    return spec if re.match(r"/dev/(video\d|v4l/)", spec) or _is_camera(Path(spec)) else None


def _is_camera(path: Path) -> bool:
    """Whether a link such as ``/dev/thermal0`` leads to a V4L2 device, by its number."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == V4L2_MAJOR


def _watched(
    open_one: Callable[[], Source],
    options: SourceOptions,
    on_event: Callable[[SourceEvent], None],
) -> Source:
    def scene() -> Source:
        return SceneSource(open_one(), options.read)

    return ReconnectingSource(scene, timeout_s=options.timeout_s, on_event=on_event)


def _recorded(open_one: Callable[[], Source], options: SourceOptions) -> Source:
    source = LoopSource(open_one) if options.loop else open_one()
    return RealtimeSource(source) if options.realtime else source


def _open_recording(spec: str, options: SourceOptions) -> Source:
    explicit = spec.startswith("recording:")
    path = Path(spec.removeprefix("recording:"))
    if explicit or path.suffix.lower() == RECORDING:
        from ladle_rt.sources.recording import RecordingSource

        return SceneSource(RecordingSource(path), options.read)
    if "://" in spec:
        raise InputError(f"{masked(spec)}: not a source; expected one of {KINDS}")
    from ladle_rt.sources.folder import FolderSource, is_sequence

    if is_sequence(path) and (path.exists() or "%" in path.name):
        return FolderSource(path, options)
    if not path.exists():
        raise InputNotFoundError(f"{spec}: no such file or folder; sources are {KINDS}")
    from ladle_rt.sources.video import VideoSource

    return VideoSource(path, allow_colour=options.allow_colour, read=options.read)


def _synthetic(rest: str, options: SourceOptions) -> Source:
    from ladle_rt.sources.synthetic import DriveOptions, SyntheticSource

    found = re.fullmatch(r"(?:(\d+)x(\d+))?(?:@(\d+))?", rest)
    if found is None:
        raise InputError(f"synthetic:{rest}: expected synthetic[:WIDTHxHEIGHT][@FPS]")
    names = ("width", "height", "rate")
    asked: dict[str, int | None] = {"width": options.width, "height": options.height}
    asked["rate"] = None if options.fps is None else max(1, round(options.fps))
    for name, part in zip(names, found.groups(), strict=True):
        asked[name] = asked[name] if part is None else int(part)
    given = {name: value for name, value in asked.items() if value is not None}
    return SyntheticSource(DriveOptions(seconds=SYNTHETIC_SECONDS, **given))
