"""A synthetic recording as a video file, so that everything can be tried without data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ladle_rt.frames import Picture, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.video import VideoSink
from ladle_rt.sources.synthetic import DriveOptions, SyntheticSource


def write_sample(
    path: Path,
    options: DriveOptions,
    overwrite: bool = False,
    on_frame: Callable[[], None] | None = None,
) -> int:
    """Write a synthetic thermal drive; the file appears whole or not at all.

    Args:
        path: the video file.
        options: the drive; sides must be even.
        overwrite: whether an existing file may be replaced.
        on_frame: called after each frame.

    Returns:
        Number of frames.

    Raises:
        OutputError: the file cannot be written.
    """
    source = SyntheticSource(options)
    info = source.info
    context = SinkContext(info.width, info.height, info.rate, info.time_base, overwrite=overwrite)
    sink = VideoSink(path, context)
    neutral = np.full((info.height // 2, info.width), 128, np.uint8)
    count = 0
    try:
        for frame in source:
            # Limited range, as in any thermal video that went through an encoder.
            luma = (16 + frame.pixels.astype(np.uint16) * 219 // 255).astype(np.uint8)
            picture = Picture("yuv420p", np.vstack([luma, neutral]), info.width, info.height)
            sink.write(TranslatedFrame(frame, picture))
            count += 1
            if on_frame is not None:
                on_frame()
    except BaseException:
        sink.abort()
        raise
    sink.close()
    return count
