"""Pictures of a run into the files of its segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from ladle_rt.archive.survey import Segment
from ladle_rt.errors import OutputError
from ladle_rt.frames import Picture, PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.encoding import EncoderPlan
from ladle_rt.sinks.picture_stream import PictureStream
from ladle_rt.sinks.scheduling import OrdinaryScheduling


class SegmentSink:
    """A `Sink` that begins a file with each segment; see `ladle_rt.sinks.base.Sink`.

    The files are NUT, the container that keeps every codec's times to the tick. Pictures before
    the first segment are what the run warmed up on, and are not written.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(
        self,
        segments: Sequence[Segment],
        scratch: Path,
        plan: EncoderPlan,
        size: tuple[int, int],
        context: SinkContext,
        finished: Callable[[Segment, int, Path | None], None],
    ) -> None:
        """
        Args:
            segments: of the run, in order.
            scratch: folder for the files.
            plan: the encoder of the video that they will be.
            size: height and width of the recording's first picture, which all others are
                scaled to, as in a video of one piece.
            context: of the recording.
            finished: told each segment, how many frames it has, and its file, which is the
                receiver's; ``None`` where it has no frames.
        """
        self._segments = segments
        self._scratch, self._plan, self._context = scratch, plan, context
        self._finished = finished
        height, width = size
        self._shape = Picture("yuv420p", np.empty((0, width), np.uint8), width, height)
        self._scheduling = OrdinaryScheduling()
        self._at = 0
        self._frames = 0
        self._container: Any = None
        self._stream: PictureStream | None = None
        self._path: Path | None = None

    def write(self, translated: TranslatedFrame) -> None:
        """Encode one picture, or leave it out; see `Sink.write`."""
        pts = translated.frame.pts
        assert pts is not None
        if pts < self._segments[0].first_pts:
            return
        while self._at + 1 < len(self._segments) and pts >= self._segments[self._at + 1].first_pts:
            self._finish()
        try:
            if self._container is None:
                self._open()
            assert self._stream is not None
            self._mux(self._stream.encode(translated))
        except (av.FFmpegError, OSError) as error:
            raise OutputError(
                f"{self._path}: cannot be written ({error.strerror or error})"
            ) from error
        self._frames += 1

    def close(self) -> None:
        """Finish what is left; see `Sink.close`."""
        while self._at < len(self._segments):
            self._finish()

    def abort(self) -> None:
        """Drop the unfinished segment; those before it stay."""
        self._at = len(self._segments)
        container, self._container = self._container, None
        if self._stream is not None:
            self._stream.close()
        if container is not None:
            container.close()

    def _open(self) -> None:
        self._path = self._scratch / f"{self._segments[self._at].number:05d}.nut"
        # An encoder's first decoding times reach back before 0; pictures must not move for that.
        self._container = av.open(
            str(self._path.absolute()),
            "w",
            format="nut",
            options={"avoid_negative_ts": "disabled"},
        )
        self._stream = PictureStream(
            self._container,
            self._plan,
            self._shape,
            name=self._path.name,
            rate=self._context.rate,
            time_base=self._context.time_base,
            sample_aspect_ratio=self._context.sample_aspect_ratio,
            scheduling=self._scheduling,
        )

    def _finish(self) -> None:
        container, self._container = self._container, None
        path, self._path = self._path, None
        if container is not None and self._stream is not None:
            try:
                for packet in self._stream.finish():
                    container.mux(packet)
                container.close()
            except (av.FFmpegError, OSError) as error:
                raise OutputError(
                    f"{path}: cannot be written ({error.strerror or error})"
                ) from error
        segment, frames = self._segments[self._at], self._frames
        self._at += 1
        self._frames = 0
        self._finished(segment, frames, path)

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            self._container.mux(packet)
