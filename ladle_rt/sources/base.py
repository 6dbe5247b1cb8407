"""What every source offers to the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Literal, Protocol, runtime_checkable

from ladle_rt.errors import ConfigError
from ladle_rt.frames import Frame, MediaPart
from ladle_rt.thermal.scene_reader import ReadOptions


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known about a source before it is read."""

    width: int
    """Width of the first frame as delivered (after rotation), pixels."""
    height: int
    """Height of the first frame as delivered (after rotation), pixels."""
    time_base: Fraction
    """Seconds per unit of `Frame.pts`."""
    rate: Fraction
    """Average frames per second; a guess where the source does not say."""
    frames: int | None = None
    """Estimated number of frames that will be delivered."""
    duration_s: float | None = None
    """Estimated seconds that will be delivered."""
    sample_aspect_ratio: Fraction | None = None
    """Width over height of one pixel as delivered; ``None`` for square or unknown."""
    live: bool = False
    """Frames come when they come: a consumer that is late loses them."""
    waits: bool = False
    """Frames may be as long in coming as live ones, but wait to be read (a pipe)."""
    media: MediaPart | None = None
    """The file and the part of it that frames come from, where sound and tags may be."""
    name: str = ""
    """What the source is, for people and without credentials: ``Boson (/dev/video0, Y16)``."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is opened; ``None`` leaves the choice to it."""

    width: int | None = None
    """Pixels; cameras and the test pattern only, as are the next three."""
    height: int | None = None
    """Pixels."""
    fps: float | None = None
    """Frames per second."""
    format: str | None = None
    """Pixel format as the camera calls it: ``Y16``, ``GREY``, ``YUYV``, ``MJPG``."""
    realtime: bool = False
    """Deliver recorded frames at their own pace instead of as fast as possible."""
    loop: bool = False
    """Begin again at the end of a recording."""
    allow_colour: bool = False
    """Take the luminance of a coloured input instead of refusing it."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """What its pictures hold."""
    wait: bool = False
    """Try again until a source is there that cannot be opened yet."""
    start_s: float = 0.0
    """Skip so many seconds; video files and sequences of images only."""
    duration_s: float | None = None
    """Deliver so many seconds of such a file; ``None``: up to its end."""
    timeout_s: float = 5.0
    """Without a frame for so long, a live source counts as lost."""

    def __post_init__(self) -> None:
        for name in ("width", "height", "fps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be > 0, received {value:g}")
        if (self.width is None) != (self.height is None):
            raise ConfigError("width and height belong together; give both or neither")
        if not self.start_s >= 0:
            raise ConfigError(f"start must be >= 0 seconds, received {self.start_s:g}")
        if self.duration_s is not None and not self.duration_s > 0:
            raise ConfigError(f"duration must be > 0 seconds, received {self.duration_s:g}")
        if not self.timeout_s > 0:
            raise ConfigError(f"timeout must be > 0 seconds, received {self.timeout_s:g}")


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """Something that happened to a live source, told from the thread that reads it."""

    kind: Literal["lost", "retrying", "back", "changed"]
    """Gone; an attempt to reopen failed; delivering again; another size or format."""
    detail: str
    """One line for people, without credentials."""


@runtime_checkable
class Source(Protocol):
    """Delivers thermal frames in order, once each. Iterate it once, from one thread."""

    @property
    def info(self) -> SourceInfo:
        """What is known before reading."""

    def __iter__(self) -> Iterator[Frame]:
        """Deliver every frame; see `Frame` for who owns the pixels.

        Raises:
            InputError: the input cannot be used (any more).
            PartialResultError: after the last readable frame, when some were not readable.
        """

    def close(self) -> None:
        """Release the input; calling it twice is harmless."""

    def __enter__(self) -> Source: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
