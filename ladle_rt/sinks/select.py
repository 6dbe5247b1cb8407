"""From what a person types after ``--output`` to a sink."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ladle_rt.addresses import masked
from ladle_rt.errors import OutputError
from ladle_rt.sinks.base import Sink, SinkContext

KINDS = (
    "FILE.mkv, FILE.mp4, FOLDER/, recording:FILE.lrec, rtsp://, rtp://, udp://, srt://, "
    "v4l2:/dev/videoN, pipe:PATH, shm:NAME, null"
)
NETWORK = ("rtsp", "rtp", "udp", "srt")
VIDEO = (".mkv", ".mp4")
RECORDING = ".lrec"


def open_sinks(specs: Sequence[str], context: SinkContext) -> list[Sink]:
    """Open every output, or none.

    Args:
        specs: see `KINDS`.
        context: what the frames will be like.

    Raises:
        OutputError: something that is no output, cannot be written, or is given twice.
        ConfigError: no video encoder opens here.
    """
    places: dict[str, str] = {}
    for spec in specs:
        if spec == "null":
            continue
        place = _place(spec)
        if place in places:
            raise OutputError(
                f"{masked(spec)}: two outputs on one place (also {masked(places[place])}); "
                "give each its own"
            )
        places[place] = spec
    opened: list[Sink] = []
    try:
        for spec in specs:
            opened.append(_open(spec, context))
    except BaseException:
        for sink in opened:
            sink.abort()
        raise
    return opened


def _place(spec: str) -> str:
    """What two outputs must not share."""
    scheme, _, rest = spec.partition(":")
    if rest.startswith("//") or scheme == "shm":
        return spec
    path = rest if scheme in ("v4l2", "pipe", "images", "recording") else spec
    return os.path.realpath(path)


def _open(spec: str, context: SinkContext) -> Sink:
    scheme, colon, rest = spec.partition(":")
    if spec == "null":
        from ladle_rt.sinks.null import NullSink

        return NullSink()
    if scheme.lower() in NETWORK and rest.startswith("//"):
        from ladle_rt.sinks.network import NetworkSink

        return NetworkSink(spec, context)
    if scheme == "recording" and rest:
        return _recording(Path(rest), context)
    if scheme == "v4l2" and rest:
        from ladle_rt.sinks.loopback import LoopbackSink

        return LoopbackSink(Path(rest), context)
    if scheme == "pipe" and rest:
        from ladle_rt.sinks.pipe import PipeSink

        return PipeSink(Path(rest))
    if scheme == "shm" and rest:
        from ladle_rt.sinks.shared_memory import SharedMemorySink

        return SharedMemorySink(rest, context)
    if (scheme == "images" and rest) or spec.endswith(("/", os.sep)):
        from ladle_rt.sinks.folder import FolderSink

        return FolderSink(Path(rest if scheme == "images" and colon else spec), context)
    path = Path(spec)
    if path.suffix.lower() == RECORDING:
        return _recording(path, context)
    if path.suffix.lower() in VIDEO and "://" not in spec:
        from ladle_rt.sinks.video import VideoSink

        return VideoSink(path, context, "growing")
    raise OutputError(f"{masked(spec)}: not an output; expected one of {KINDS}")


def _recording(path: Path, context: SinkContext) -> Sink:
    from ladle_rt.sinks.raw16 import RecordingSink

    return RecordingSink(path, context)
