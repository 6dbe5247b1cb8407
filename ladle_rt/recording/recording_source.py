"""Raw recordings played again, bit by bit; see `ladle_rt.recording.file_format`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from ladle_rt.closing import Closing
from ladle_rt.errors import InputError, InputNotFoundError, PartialResultError
from ladle_rt.frames import Frame
from ladle_rt.recording.file_format import CutOffError, read_frames, read_magic
from ladle_rt.sources.base import SourceInfo, SourceOptions

NANOSECOND = Fraction(1, 1_000_000_000)
RATE_FRAMES = 30
"""The frame rate is taken from so many frames."""


class RecordingSource(Closing):
    """A `Source` over a file that `RecordingSink` wrote.

    Pixels, dtype and presentation times are those that were captured. ``sequence`` counts from
    0, and ``timestamp_ns`` is the moment of delivery, as for every source.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            InputNotFoundError: no such file.
            InputError: another kind of file, or one without a whole frame.
        """
        if not path.exists():
            raise InputNotFoundError(f"{path}: no such file")
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        self._path = path
        self._cut_off = False
        try:
            read_magic(self._file, str(path))
            frames = self._whole_frames()
            first = list(itertools.islice(frames, RATE_FRAMES))
            if not first:
                raise InputError(f"{path}: no whole frame in this recording")
        except BaseException:
            self._file.close()
            raise
        self._frames = itertools.chain(first, frames)
        height, width = first[0].pixels.shape
        span_s = first[-1].time_s - first[0].time_s
        rate = Fraction((len(first) - 1) / span_s) if span_s > 0 else Fraction(25)
        self.info = SourceInfo(
            width=width,
            height=height,
            time_base=first[0].time_base or NANOSECOND,
            rate=rate.limit_denominator(1001),
            name=path.name,
        )

    def __iter__(self) -> Iterator[Frame]:
        """Deliver the frames; may be called once.

        Raises:
            PartialResultError: after the last whole frame of a file that was cut off.
        """
        for number, frame in enumerate(self._frames):
            pts, base = frame.pts, frame.time_base
            if pts is None or base is None:
                pts, base = frame.timestamp_ns, NANOSECOND
            yield replace(
                frame, sequence=number, timestamp_ns=time.monotonic_ns(), pts=pts, time_base=base
            )
        if self._cut_off:
            raise PartialResultError(
                f"{self._path}: the recording is cut off; its whole frames were translated"
            )

    def close(self) -> None:
        """Close the file; calling it twice is harmless."""
        self._file.close()

    def _whole_frames(self) -> Iterator[Frame]:
        try:
            yield from read_frames(self._file)
        except CutOffError:
            self._cut_off = True


def open_recording(place: str, options: SourceOptions) -> RecordingSource:
    """See `ladle_rt.sources.select`; a recording knows all that ``options`` could say."""
    return RecordingSource(Path(place))
