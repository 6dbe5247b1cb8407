"""A folder of thermal images as a sequence."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from ladle_rt.frames import Frame
from ladle_rt.sources.base import SourceInfo, SourceOptions
from ladle_rt.sources.images import list_images, read_still

DEFAULT_RATE = Fraction(25)


class FolderSource:
    """Every image of a folder once, in natural order: ``2.png`` before ``10.png``."""

    def __init__(self, folder: Path, options: SourceOptions | None = None) -> None:
        """
        Args:
            folder: 8- or 16-bit images.
            options: ``fps`` and ``allow_colour`` count here.

        Raises:
            InputError: no folder, no images in it, or the first one cannot be used.
        """
        options = options or SourceOptions()
        self._allow_colour = options.allow_colour
        self._paths = sorted(list_images([folder]), key=_natural)
        height, width = read_still(self._paths[0], self._allow_colour).shape
        rate = (
            DEFAULT_RATE if options.fps is None else Fraction(options.fps).limit_denominator(1000)
        )
        self.info = SourceInfo(
            width=width,
            height=height,
            time_base=1 / rate,
            rate=rate,
            frames=len(self._paths),
            duration_s=float(len(self._paths) / rate),
            name=folder.name,
        )

    def __iter__(self) -> Iterator[Frame]:
        """Deliver the images.

        Raises:
            InputError: one cannot be read, or shows a colour palette.
        """
        for number, path in enumerate(self._paths):
            pixels = read_still(path, self._allow_colour)
            yield Frame(pixels, number, time.monotonic_ns(), number, self.info.time_base)

    def close(self) -> None:
        """Nothing to release."""

    def __enter__(self) -> FolderSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Numbers by value, the rest by letter."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
