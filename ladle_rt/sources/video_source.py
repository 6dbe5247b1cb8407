"""Thermal frames out of a video file, by PyAV."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import av

from ladle_rt.closing import Closing
from ladle_rt.errors import ConfigError, InputError, PartialResultError
from ladle_rt.frames import Frame, MediaPart
from ladle_rt.media import DECODING_FAILS
from ladle_rt.sources.base import SourceInfo
from ladle_rt.sources.concealment import ConcealmentCheck
from ladle_rt.sources.container import (
    declared_end,
    fraction,
    frame_rate,
    open_input,
    video_stream,
)
from ladle_rt.sources.deinterlace import deinterlaced
from ladle_rt.sources.frame_limit import nothing_decoded
from ladle_rt.sources.pipe_reader import PipeReader, is_pipe
from ladle_rt.sources.scene_frames import SceneFrames
from ladle_rt.sources.timeline import Timeline
from ladle_rt.thermal.scene_reader import ReadOptions

SEEK_MARGIN_S = 1
"""Key frames are found by decoding time, which may lie before presentation time."""
MAX_FAILED_READS = 100
"""So many failed reads in a row end a damaged file."""
LARGE_FRAME = 2_000_000
"""Pixels from which one decoding thread could hold the network up. Below, a second thread
only costs: 640x512 H.264 decodes in a fraction of a millisecond."""
FREE_RUNNING_CLOCK = {"mpegts", "mpeg", "mpegtsraw"}
"""Formats whose clock starts anywhere: their video is moved to start at 0."""


class VideoSource(Closing):
    """Every frame of a video file once, in order, with its own presentation time.

    The first frame is decoded at construction, so that an unusable input shows at once.
    Frames carry the luma plane or grey counts as they are in the file, uint8 or uint16; a
    rotation in the metadata is applied. With ``start_s`` presentation time 0 is there.
    """

    def __init__(
        self,
        path: Path,
        start_s: float = 0.0,
        duration_s: float | None = None,
        allow_colour: bool = False,
        read: ReadOptions | None = None,
    ) -> None:
        """
        Args:
            path: any video file that PyAV reads, a FIFO, or ``-`` for standard input.
            start_s: skip so many seconds of the input.
            duration_s: deliver so many seconds; ``None`` up to the end.
            allow_colour: take the luminance of a coloured input instead of refusing it.
            read: what the file holds.

        Raises:
            ConfigError: a negative start or a duration that is not positive.
            InputNotFoundError: no such file.
            InputError: not a readable video, or nothing in the chosen part of it.
            FalseColourError: a coloured input without ``allow_colour``.
        """
        if start_s < 0:
            raise ConfigError(f"start must be >= 0 seconds, received {start_s}")
        if duration_s is not None and duration_s <= 0:
            raise ConfigError(f"duration must be > 0 seconds, received {duration_s}")
        self._path = path
        self._track = None if read is None else read.track
        self._scene = SceneFrames(path, read or ReadOptions(), allow_colour)
        self._pipe = PipeReader(path) if is_pipe(path) else None
        try:
            self._container = open_input(path, self._pipe)
        except BaseException:
            self._release_pipe()
            raise
        try:
            self._stream = video_stream(self._container, path, self._track)
            self._prepare(start_s, duration_s)
            self._frames = self._deliver()
            self._first: Frame | None = self._read_first(start_s)
            self.info = self._describe(start_s, duration_s)
        except BaseException:
            self._container.close()
            self._release_pipe()
            raise

    def __iter__(self) -> Iterator[Frame]:
        """Deliver the frames; may be called once.

        Raises:
            FalseColourError: colour in one of the first frames.
            PartialResultError: after the last frame, when the file is damaged.
        """
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._frames

    def close(self) -> None:
        """Release the file; calling it twice is harmless."""
        if self._pipe is not None:
            self._pipe.stop()
        # A thread that still reads (it hangs, or the caller would have waited) keeps the file:
        # closing it underneath would crash the process.
        with contextlib.suppress(ValueError):
            self._frames.close()
            self._container.close()
            self._release_pipe()

    def _media(self, start_s: float) -> MediaPart | None:
        """Where sound and tags are; a pipe is read once, for its pictures."""
        if self._pipe is not None:
            return None
        end = self._end
        return MediaPart(
            self._path,
            origin_s=self._origin * self._time_base,
            begin_s=Fraction(0) if start_s > 0 else None,
            end_s=None if end is None else (end - self._origin) * self._time_base,
        )

    def _release_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()

    def _prepare(self, start_s: float, duration_s: float | None) -> None:
        stream = self._stream
        self._time_base = fraction(stream.time_base) or Fraction(1, 90_000)
        self._rate = frame_rate(stream)
        zero_s = Fraction(self._container.start_time or 0, av.time_base)
        self._free_running = bool(FREE_RUNNING_CLOCK & set(self._container.format.name.split(",")))
        # Without --start the times stay as they are, even when the first is not 0.
        moved = start_s > 0 or self._free_running
        begin_s = zero_s + _exact(start_s)
        self._origin = math.ceil(begin_s / self._time_base) if moved else 0
        self._begin = math.ceil(begin_s / self._time_base) if start_s > 0 else None
        self._end = (
            None
            if duration_s is None
            else math.ceil((begin_s + _exact(duration_s)) / self._time_base)
        )
        self._timeline = Timeline(self._path.name, self._rate, self._time_base)
        self._damaged = 0
        self._delivered = 0
        self._use_threads()
        if start_s > SEEK_MARGIN_S and stream.start_time is not None and self._pipe is None:
            self._seek(int((begin_s - SEEK_MARGIN_S) / self._time_base))

    def _use_threads(self) -> None:
        context = self._stream.codec_context
        large = context.width * context.height > LARGE_FRAME
        self._stream.thread_type = "AUTO" if large else "SLICE"
        context.thread_count = 4 if large else 1

    def _seek(self, target: int) -> None:
        """Go to a key frame before ``target``, or stay at the start where that fails.

        Formats without an index of key frames may land behind one and show nothing up to
        the next, so the place is tried first.
        """
        with contextlib.suppress(*DECODING_FAILS):
            self._container.seek(target, stream=self._stream)
            landed = next(self._container.decode(self._stream), None)
            assert self._begin is not None
            if landed is not None and landed.pts is not None and landed.pts <= self._begin:
                self._container.seek(target, stream=self._stream)
                return
        self._container.close()
        self._container = open_input(self._path)
        self._stream = video_stream(self._container, self._path, self._track)
        self._use_threads()

    def _read_first(self, start_s: float) -> Frame:
        if (first := next(self._frames, None)) is not None:
            return first
        if start_s > 0 and self._length_s() is not None:
            raise InputError(
                f"{self._path}: expected a start within the video, received {start_s:g} s of "
                f"{self._length_s():.3f} s"
            )
        raise nothing_decoded(self._path)

    def _describe(self, start_s: float, duration_s: float | None) -> SourceInfo:
        assert self._first is not None
        height, width = self._first.pixels.shape
        length_s = self._length_s()
        frames = self._stream.frames or None
        if start_s > 0 or duration_s is not None:
            left_s = None if length_s is None else max(length_s - start_s, 0.0)
            bounds = [value for value in (left_s, duration_s) if value is not None]
            length_s, frames = min(bounds, default=None), None
        if frames is None and length_s is not None:
            frames = max(1, round(length_s * self._rate))
        ratio = fraction(self._stream.sample_aspect_ratio)
        if ratio is not None and self._scene.rotation % 2:
            ratio = 1 / ratio
        return SourceInfo(
            width=width,
            height=height,
            time_base=self._time_base,
            rate=self._rate,
            frames=frames,
            duration_s=length_s,
            sample_aspect_ratio=None if ratio == 1 else ratio,
            waits=self._pipe is not None,
            media=self._media(start_s),
        )

    def _length_s(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * self._time_base)
        if self._container.duration:
            return self._container.duration / av.time_base
        return None

    def _deliver(self) -> Generator[Frame, None, None]:
        for frame in deinterlaced(self._decode(), self._path.name):
            placed = self._timeline.place(frame.pts)
            if self._begin is not None and placed < self._begin:
                continue
            if self._end is not None and placed >= self._end:
                break
            yield Frame(
                pixels=self._scene.read(frame),
                sequence=self._delivered,
                timestamp_ns=time.monotonic_ns(),
                pts=placed - self._origin,
                time_base=self._time_base,
                celsius=self._scene.celsius,
            )
            self._delivered += 1
        else:
            self._damaged += self._ends_early()
        if self._damaged and self._delivered:
            raise PartialResultError(
                f"{self._path}: the file is damaged or cut short; the {self._delivered} frames "
                "that could be read were translated"
            )

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames in presentation order; unreadable packets are counted and skipped."""
        self._last_end: int | None = None
        packets = self._container.demux(self._stream)
        concealment = ConcealmentCheck(self._stream)
        failed_reads = 0
        while failed_reads < MAX_FAILED_READS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                # The generator is dead, the file is not: go on behind the damage.
                failed_reads += 1
                self._damaged += 1
                packets = self._container.demux(self._stream)
                continue
            failed_reads = 0
            if packet.pts is not None:
                end = packet.pts + (packet.duration or 0)
                self._last_end = max(end, self._last_end or end)
            if not concealment.found:
                concealment.inspect(packet)
                self._damaged += concealment.found
            try:
                frames = packet.decode()
            except DECODING_FAILS:
                # A recording may start in the middle of a group of pictures: no damage.
                self._damaged += bool(self._delivered or packet.is_keyframe)
                continue
            # Transport streams flag every joint of recordings.
            self._damaged += bool(packet.is_corrupt and not self._free_running)
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    yield frame

    def _ends_early(self) -> bool:
        """Whether a container that knows its length held clearly less."""
        declared_s = declared_end(self._stream)
        if declared_s is None or self._last_end is None:
            return False
        missing_s = declared_s - self._last_end * self._time_base
        return missing_s > max(2 / self._rate, Fraction(1, 5))


def _exact(seconds: float) -> Fraction:
    """The decimal that was meant: 0.52 is thirteen frames of 1/25 s, not a little more."""
    return Fraction(seconds).limit_denominator(1_000_000)
