"""What every sink offers to the pipeline."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

from ladle_rt.config import VideoEncoding
from ladle_rt.frames import MediaPart, PixelFormat, TranslatedFrame


@runtime_checkable
class Sink(Protocol):
    """Takes colour pictures in order, from one thread, and publishes all of them or nothing."""

    @property
    def pixel_format(self) -> PixelFormat:
        """The layout of `Picture.data` that this sink takes."""

    def write(self, translated: TranslatedFrame) -> None:
        """Take one picture; the sink may read it until `close` and never writes to it.

        Raises:
            OutputError: it cannot be written.
        """

    def close(self) -> None:
        """Finish and publish what was written; calling it twice is harmless.

        Raises:
            OutputError: it cannot be published; nothing was left behind.
        """

    def abort(self) -> None:
        """Leave nothing behind; harmless after `close` or a second time."""


@runtime_checkable
class SkippingSink(Protocol):
    """A `Sink` that takes every picture at once and lets some go for a slow or absent peer."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many so far, by output, without credentials; from any thread."""


def skipped_by(sink: Sink) -> Mapping[str, int]:
    """`SkippingSink.skipped`; nothing for a sink that keeps what it takes."""
    return sink.skipped if isinstance(sink, SkippingSink) else {}


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink may know of the frames before the first one comes."""

    width: int
    """Of the thermal frames, pixels; pictures may be wider (side by side) and may change."""
    height: int
    """Of the thermal frames, pixels."""
    rate: Fraction
    """Expected frames per second."""
    time_base: Fraction
    """Seconds per unit of the frames' ``pts``."""
    sample_aspect_ratio: Fraction | None = None
    """Width over height of one pixel; ``None`` for square."""
    overwrite: bool = False
    """Whether existing files may be replaced."""
    encoding: VideoEncoding = field(default_factory=VideoEncoding)
    """How video is compressed."""
    media: MediaPart | None = None
    """The file that the frames come from, whose tags, chapters and sound go along into files."""
    sound: bool = True
    """Carry the sound of ``media``."""
    stop: threading.Event | None = None
    """When set at the end, sound ends with the last picture instead of its own end."""


class Controls(Protocol):
    """What a person at a window or a page may do; every method may be called from any thread."""

    @property
    def recording(self) -> Path | None:
        """The file being recorded now."""

    def record(self, on: bool) -> Path | None:
        """Start or stop recording the colour pictures.

        Returns:
            The file that was started or finished; ``None`` when there was nothing to do.

        Raises:
            OutputError: the file cannot be written.
        """

    def snapshot(self) -> Path:
        """Save the newest picture as PNG and say where.

        Raises:
            OutputError: no picture yet, or it cannot be written.
        """

    def quit(self) -> None:
        """End the stream in an orderly way."""
