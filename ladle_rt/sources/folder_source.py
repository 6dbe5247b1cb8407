"""Pictures in files as a sequence: a folder, a numbered pattern, a stack."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

from ladle_rt.closing import Closing
from ladle_rt.errors import InputError, InputNotFoundError
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.sources.base import SourceInfo, SourceOptions
from ladle_rt.sources.still_images import list_images, read_scenes, scene_reader
from ladle_rt.sources.stills.decode import REFUSED, SUFFIXES, count_pictures
from ladle_rt.temperature import Temperatures

logger = logging.getLogger("ladle_rt.input")

DEFAULT_RATE = Fraction(25)
PATTERN = re.compile(r"%(?:0\d+)?d")
"""``frame_%05d.png``, as FFmpeg has it."""
WITH_TIMES = frozenset({".gif"})
"""Read as a video instead: the file says when each picture is shown."""


def is_sequence(path: Path) -> bool:
    """Whether a path means pictures rather than a video: a folder, a pattern or a picture file."""
    if path.is_dir():
        return True
    if PATTERN.search(path.name) and not path.exists():
        return True
    # What is not read is refused by name there, which FFmpeg could not do.
    return path.suffix.lower() in (SUFFIXES - WITH_TIMES) | REFUSED.keys()


class FolderSource(Closing):
    """Every picture once, in natural order: ``2.png`` before ``10.png``."""

    def __init__(
        self,
        path: Path,
        options: SourceOptions | None = None,
    ) -> None:
        """
        Args:
            path: a folder, a pattern such as ``frame_%05d.png``, or a file of pictures.
            options: ``fps``, ``allow_colour``, ``read``, ``start_s`` and ``duration_s`` count here.

        Raises:
            InputNotFoundError: nothing there.
            InputError: no pictures, nothing in the chosen part, or the first cannot be used.
        """
        options = options or SourceOptions()
        self._options = options
        start_s, duration_s = options.start_s, options.duration_s
        self._paths = _files(path, options.read.recursive)
        rate = (
            DEFAULT_RATE if options.fps is None else Fraction(options.fps).limit_denominator(1000)
        )
        count = sum(count_pictures(one, options.read) for one in self._paths)
        self._first = round(start_s * rate)
        last = count if duration_s is None else self._first + max(1, round(duration_s * rate))
        self._last = min(last, count)
        if self._first >= self._last:
            raise InputError(
                f"{path}: expected a start within the sequence, received {start_s:g} s of "
                f"{float(count / rate):.3f} s"
            )
        # Brings Pillow, and videos come by this module too.
        from ladle_rt.sources.exif import read_exif

        height, width = next(self._pictures())[0].shape
        if read_exif(self._paths[0]) is not None:
            logger.info(
                "%s: the EXIF of its pictures (date, place) stays behind; only `image` keeps it",
                path.name,
            )
        frames = self._last - self._first
        self.info = SourceInfo(
            width=width,
            height=height,
            time_base=1 / rate,
            rate=rate,
            frames=frames,
            duration_s=float(frames / rate),
            name=path.name,
        )

    def __iter__(self) -> Iterator[Frame]:
        """Deliver the pictures.

        Raises:
            InputError: one cannot be read, or shows a colour palette.
        """
        for number, (pixels, celsius) in enumerate(self._pictures()):
            now_ns, base = time.monotonic_ns(), self.info.time_base
            yield Frame(pixels, number, now_ns, number, base, celsius=celsius)

    def _pictures(self) -> Iterator[tuple[ThermalPixels, Temperatures | None]]:
        # One reader for all: ranges of floats and the polarity hold for the whole sequence.
        reader = scene_reader(self._options.read, self._paths[0].parent.name or str(self._paths[0]))
        everything = (
            scene
            for path in self._paths
            for scene in read_scenes(path, self._options.allow_colour, self._options.read, reader)
        )
        return islice(everything, self._first, self._last)

    def close(self) -> None:
        """Nothing to release."""


def _files(path: Path, recursive: bool) -> list[Path]:
    if path.is_dir():
        return sorted(list_images([path], recursive), key=_natural)
    if path.exists() or not PATTERN.search(path.name):
        return list_images([path])
    before, after = PATTERN.split(path.name, maxsplit=1)
    wanted = re.compile(re.escape(before) + r"\d+" + re.escape(after))
    folder = path.parent
    if not folder.is_dir():
        raise InputNotFoundError(f"{folder}: no such folder")
    found = [one for one in folder.iterdir() if wanted.fullmatch(one.name)]
    if not found:
        raise InputNotFoundError(f"{path}: no file of this pattern")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Numbers by value, the rest by letter."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
