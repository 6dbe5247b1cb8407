"""What every source offers to the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Protocol, runtime_checkable

from ladle_rt.frames import Frame


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
