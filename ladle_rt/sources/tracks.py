"""Which video track of a file is meant."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import av

from ladle_rt.errors import InputError
from ladle_rt.media import DECODING_FAILS, open_media
from ladle_rt.sources.frame_limit import bounded
from ladle_rt.sources.pipe_reader import is_pipe
from ladle_rt.sources.pixel_layouts import COLOURED_SHARE, coloured_share

logger = logging.getLogger("ladle_rt.input")

THERMAL_WORDS = r"thermal|infrared|lwir|\bir\b|flir"


def choose_track(streams: list[Any], path: Path, track: int | str | None) -> int:
    """The number of a video track of a file.

    Args:
        streams: video streams of PyAV, at least one.
        path: of the file.
        track: number from 0, ``thermal``, or ``None`` for the first.

    Raises:
        InputError: no such track, or none that is clearly the thermal one.
    """
    number = _thermal(streams, path) if isinstance(track, str) else track or 0
    if number >= len(streams):
        raise InputError(
            f"{path}: expected a video track from 0 to {len(streams) - 1}, received {number}"
        )
    if track is None and len(streams) > 1:
        logger.info(
            "%s: track 0 of %d video tracks; --track N or --track thermal chooses",
            path.name,
            len(streams),
        )
    return number


def _thermal(streams: list[Any], path: Path) -> int:
    """The track that says it is thermal, or the only grey one."""
    words = [" ".join((one.metadata or {}).values()) for one in streams]
    named = [n for n, text in enumerate(words) if re.search(THERMAL_WORDS, text, re.IGNORECASE)]
    if len(named) == 1:
        return named[0]
    grey = [n for n in range(len(streams)) if _is_grey(path, streams[n].index)]
    if len(grey) != 1:
        found = f"{len(grey)} of {len(streams)} tracks are grey"
        raise InputError(f"{path}: cannot tell the thermal track ({found}); give --track N")
    return grey[0]


def _is_grey(path: Path, index: int) -> bool:
    if is_pipe(path):
        return False  # It is being read, and can be read only once.
    try:
        with open_media(str(path.absolute()), options=bounded()) as container:
            stream: Any = container.streams[index]
            stream.codec_context.options = bounded()
            frame = next(container.decode(stream), None)
    except DECODING_FAILS:
        return False
    return isinstance(frame, av.VideoFrame) and coloured_share(frame) <= COLOURED_SHARE
