"""Small videos made and counted."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_ramp(path: Path, frames: int, codec: str = "libx264", pix_fmt: str = "yuv420p") -> Path:
    """A grey ramp of 64x48 pixels that moves to the side, 25 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        ramp = np.tile(np.linspace(20, 200, 64, dtype=np.uint8), (48, 1))
        for number in range(frames):
            grey = av.VideoFrame.from_ndarray(np.roll(ramp, number, axis=1), "gray")
            frame = grey if pix_fmt == "gray" else grey.reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frame_count(path: Path) -> int:
    """Frames of a video, decoded."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
