"""Real video files, written on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest


def gradient(index: int, width: int, height: int) -> np.ndarray:
    """A grey ramp with a bright bar that moves: HxW uint8."""
    picture = np.tile(np.linspace(30, 160, width, dtype=np.uint8), (height, 1))
    picture[:, (index * 4) % max(width - 3, 1) :][:, :4] = 220
    return picture


@pytest.fixture
def write_clip(tmp_path: Path) -> Callable[..., Path]:
    """A factory of clips: ``write_clip(name, frames=…, pts=…, codec=…, pixels=…)``."""

    def write(
        name: str,
        frames: int = 10,
        size: tuple[int, int] = (64, 48),
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        rate: int = 25,
        pts: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, 12800),
        pixels: Callable[[int, int, int], np.ndarray] = gradient,
        array_format: str = "gray",
        aspect: Fraction | None = None,
        muxer: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=muxer or {}) as container:
            stream = container.add_stream(codec, rate=rate, options=options or {})
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.codec_context.time_base = time_base
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            ticks = round(1 / (rate * time_base))
            for index in range(frames):
                frame = av.VideoFrame.from_ndarray(pixels(index, *size), format=array_format)
                if array_format != pix_fmt:
                    frame = frame.reformat(format=pix_fmt)
                frame.pts = index * ticks if pts is None else pts[index]
                frame.time_base = time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write
