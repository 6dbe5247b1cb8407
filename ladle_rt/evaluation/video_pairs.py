"""Pairs of thermal and visible videos: found by name, read moment by moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from ladle_rt.errors import DatasetError, InputError
from ladle_rt.evaluation.eval_model import comparison_size
from ladle_rt.evaluation.pair_images import to_unit
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.similarity import Image
from ladle_rt.sources.container import open_input, video_stream
from ladle_rt.sources.video_source import VideoSource

SUFFIXES = frozenset({".avi", ".mkv", ".mov", ".mp4", ".webm"})
ASPECT_TOLERANCE = 0.02
"""Relative difference of aspect ratios above which two videos do not show the same field."""
THERMAL_ENDINGS = ("_infrared", "_thermal", "_ir")
VISIBLE_ENDINGS = ("_visible", "_rgb", "_vi")


@dataclass(frozen=True, slots=True)
class VideoPair:
    """A thermal and a visible video of the same minutes, pixel-aligned."""

    thermal: Path
    visible: Path
    name: str


def find_video_pairs(root: Path) -> list[VideoPair]:
    """Pairs directly in a folder, ``NAME_infrared.mp4`` beside ``NAME_visible.mp4``, by name.

    Returns:
        None at all where the folder holds something else.
    """
    videos = sorted(path for path in root.glob("*") if path.suffix.lower() in SUFFIXES)
    found: list[dict[str, Path]] = [{}, {}]
    for side, endings in enumerate((THERMAL_ENDINGS, VISIBLE_ENDINGS)):
        for path in videos:
            for ending in endings:
                if path.stem.endswith(ending):
                    found[side][path.stem.removesuffix(ending)] = path
    thermal, visible = found
    return [VideoPair(thermal[name], visible[name], name) for name in thermal if name in visible]


class AlignedFrames:
    """Frames of two videos that were taken at the same time; iterate once."""

    def __init__(self, pair: VideoPair, limit: int | None) -> None:
        self._pair = pair
        self._limit = limit
        self.matched = 0
        self.unmatched = 0

    def __iter__(self) -> Iterator[tuple[Frame, Image, bool]]:
        """Thermal frame, truth at comparison size, and whether the one before was matched too."""
        with (
            VideoSource(self._pair.thermal) as source,
            open_input(self._pair.visible) as container,
        ):
            stream = video_stream(container, self._pair.visible)
            # Only half a frame apart is the same moment, and never as far as the next one.
            reach_s = 1 / float(2 * source.info.rate)
            visible = _Nearest(_timed(container, stream, self._pair.visible))
            start_s: float | None = None
            continues = False
            for frame in source:
                start_s = frame.time_s if start_s is None else start_s
                partner = visible.at(frame.time_s - start_s, reach_s)
                if partner is None:
                    self.unmatched += 1
                    continues = False
                    continue
                self._check_aspect(frame.pixels, partner)
                self.matched += 1
                yield frame, _rgb(partner), continues
                continues = True
                if self.matched == self._limit:
                    return

    def _check_aspect(self, pixels: ThermalPixels, partner: av.VideoFrame) -> None:
        height, width = pixels.shape
        turned = round(partner.rotation / 90) % 2
        size = (partner.width, partner.height)[:: -1 if turned else 1]
        if abs(width / height / (size[0] / size[1]) - 1) > ASPECT_TOLERANCE:
            raise DatasetError(
                f"{self._pair.visible}: expected the field of view of {self._pair.thermal.name} "
                f"({width}x{height}), received {size[0]}x{size[1]}; crop one to the other first"
            )


class _Nearest:
    """The frame of a stream that is nearest to a time; times are asked for in order."""

    def __init__(self, frames: Iterator[tuple[float, av.VideoFrame]]) -> None:
        self._frames = frames
        self._held = next(frames, None)
        self._next = next(frames, None)

    def at(self, time_s: float, reach_s: float) -> av.VideoFrame | None:
        """The nearest frame, if it is within reach."""
        while (
            self._held is not None
            and self._next is not None
            and abs(self._next[0] - time_s) <= abs(self._held[0] - time_s)
        ):
            self._held, self._next = self._next, next(self._frames, None)
        if self._held is None or abs(self._held[0] - time_s) > reach_s:
            return None
        return self._held[1]


def _timed(container: Any, stream: Any, path: Path) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames of a visible video with their time from the first one, seconds."""
    first_s: float | None = None
    try:
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            first_s = frame.time if first_s is None else first_s
            yield frame.time - first_s, frame
    except av.FFmpegError as error:
        raise InputError(f"{path}: the video is damaged ({error.strerror or error})") from error


def _rgb(frame: av.VideoFrame) -> Image:
    turned: Any = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
    return to_unit(comparison_size(np.ascontiguousarray(turned)))
