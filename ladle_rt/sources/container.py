"""Opening a video file and reading its facts, alike for every PyAV."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ladle_rt.errors import InputError, InputNotFoundError
from ladle_rt.media import open_media
from ladle_rt.sources.frame_limit import bounded
from ladle_rt.sources.pipe_reader import PipeReader
from ladle_rt.sources.tracks import choose_track


def open_input(path: Path, pipe: PipeReader | None = None) -> av.container.InputContainer:
    """Open a file that must exist and must be media.

    Args:
        path: the file.
        pipe: reads it, where it can only be read once.

    Raises:
        InputNotFoundError: no such file.
        InputError: a folder, an empty file, or nothing that FFmpeg can read.
    """
    if pipe is not None:
        try:
            return open_media(pipe, options=bounded())
        except (av.FFmpegError, OSError) as error:
            raise InputError(
                f"{path}: expected a video in a form that can be read front to back, such as "
                f"Matroska or y4m ({error.strerror or error})"
            ) from error
    if not path.exists():
        raise InputNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: expected a video file, received a folder")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: expected a video file, received an empty file")
    # An absolute path, because FFmpeg would read "a:b.mp4" as a protocol.
    name = str(path.absolute())
    try:
        return open_media(name, options=bounded())
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: not a video that can be read, or not a whole one ({error.strerror or error})"
        ) from error


def video_stream(
    container: av.container.InputContainer, path: Path, track: int | str | None = None
) -> Any:
    """A stream that is a video and not a cover picture.

    Args:
        container: of ``path``.
        path: the file.
        track: see `ladle_rt.sources.tracks.choose_track`.

    Raises:
        InputError: there is none, not this one, or no decoder for it.
    """
    cover = av.stream.Disposition.attached_pic
    streams = [one for one in container.streams.video if not one.disposition & cover]
    if not streams:
        kinds = ", ".join(sorted({one.type for one in container.streams})) or "nothing"
        kinds = kinds.replace("video", "a cover picture")
        raise InputError(f"{path}: expected a video stream, found only {kinds}")
    stream = streams[choose_track(streams, path, track)]
    if stream.codec_context is None:
        raise InputError(f"{path}: no decoder for its video; convert it to H.264 or FFV1 first")
    stream.codec_context.options = bounded()
    return stream


def frame_rate(stream: Any) -> Fraction:
    """Average frames per second, 25 where nothing sensible is given."""
    for candidate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        rate = fraction(candidate)
        # Clocks that are taken for a rate (1000, 90000) would mislead the encoder.
        if rate is not None and 0 < rate < 1000:
            return rate
    return Fraction(25)


def fraction(value: Any) -> Fraction | None:
    """PyAV's rationals are fractions or ``None`` up to 18, its own falsy type from 19."""
    return Fraction(value.numerator, value.denominator) if value else None


def declared_end(stream: Any) -> Fraction | None:
    """Where a file's own index says that a stream ends, in seconds; ``None`` if it does not.

    Only formats that write it last or per track are believed: elsewhere it is an estimate
    or belongs to the longest stream.
    """
    base = fraction(stream.time_base)
    if base is None:
        return None
    if stream.duration and "mp4" in stream.container.format.name:
        return base * int((stream.start_time or 0) + stream.duration)
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag is None:
        return None
    hours, minutes, seconds = tag.groups()
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
