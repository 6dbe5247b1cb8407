"""Colour pictures into a video file, by PyAV.

Two ways to publish one. ``whole``: the file appears at its end or not at all, for work that can
be done again. ``growing``: it grows under its own name and plays up to its last half second at
every moment, a power cut included, for what happens only once: Matroska in short, flushed
clusters, or MP4 in fragments.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av

from ladle_rt import files
from ladle_rt.config import VideoEncoding
from ladle_rt.errors import OutputError
from ladle_rt.frames import Picture, PixelFormat, TranslatedFrame
from ladle_rt.sinks.audio import AudioCarrier
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.encoding import EncoderPlan, plan_encoder, plan_live_encoder
from ladle_rt.sinks.media_tags import MediaTags
from ladle_rt.sinks.picture_stream import PictureStream
from ladle_rt.sinks.scheduling import OrdinaryScheduling

Publish = Literal["whole", "growing"]

GROWING = {
    ".mkv": ("matroska", {"cluster_time_limit": "500", "flush_packets": "1"}),
    ".mp4": (
        "mp4",
        {
            "movflags": "empty_moov+default_base_moof",
            "frag_duration": "500000",
            "flush_packets": "1",
        },
    ),
}
"""By extension: FFmpeg's format and its options; half a second is at risk."""
KEPT = {"whole": "nothing was left behind", "growing": "what was recorded so far can be played"}


class VideoSink:
    """A `Sink` for one video file, with the times of its frames.

    The encoder opens at the first picture; later pictures of another size are scaled to it.
    Whole MP4 files keep their index at the end: moving it to the front would read and write the
    whole file a second time, which only matters to progressive web playback.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, path: Path, context: SinkContext, publish: Publish = "whole") -> None:
        """
        Args:
            path: the file; its extension chooses the container.
            context: what the frames will be like, and what else goes into the file.
            publish: when the file appears; see the module's docstring.

        Raises:
            OutputError: unknown extension, or a place that cannot be written.
            ConfigError: an encoder that does not exist, fit the container or its settings.
        """
        inputs = [] if context.media is None else [context.media.path]
        files.check_target(path, overwrite=context.overwrite, inputs=inputs)
        self._path, self._context, self._publish = path, context, publish
        self._scheduling = OrdinaryScheduling()
        self._plan = _plan(path, context.encoding, publish)
        # It has opened encoders to try them.
        self._scheduling.restore()
        self._file: Path | None = None
        """Where the unfinished file is."""
        self._container: Any = None
        self._pictures: PictureStream | None = None
        self._audio: AudioCarrier | None = None
        self._tags: MediaTags | None = None
        self._muxed = False

    def write(self, translated: TranslatedFrame) -> None:
        """Encode one picture.

        Args:
            translated: ``yuv420p``, even sides.

        Raises:
            OutputError: it cannot be written, for example on a full disk.
        """
        with self._writing():
            if self._container is None:
                self._open(translated.picture)
            assert self._pictures is not None
            self._mux(self._pictures.encode(translated))

    def close(self) -> None:
        """Finish the file and put it in place; calling it twice is harmless.

        Raises:
            OutputError: it cannot be finished or put in place.
        """
        if self._container is None or self._pictures is None:
            return
        with self._writing():
            self._mux(self._pictures.finish())
            if self._audio is not None:
                cut = self._context.stop is not None and self._context.stop.is_set()
                self._audio.mux_until(self._pictures.end_s if cut else None)
                self._audio.finish()
            container, self._container = self._container, None
            container.close()
        assert self._file is not None
        file, self._file = self._file, None
        if self._tags is not None:
            self._tags.warn_lost(file)
        if self._publish == "whole":
            files.publish(file, self._path, overwrite=self._context.overwrite)

    def abort(self) -> None:
        """Remove the unfinished file, or close what has grown; harmless at any time."""
        container, self._container = self._container, None
        if self._audio is not None:
            self._audio.close()
        if self._pictures is not None:
            self._pictures.close()
        if container is not None:
            # The trailer of a file that is thrown away may fail to write.
            with suppress(av.FFmpegError, OSError):
                container.close()
        file, self._file = self._file, None
        if file is not None and not (self._publish == "growing" and self._muxed):
            files.discard(file)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            self.abort()
            if isinstance(error, OutputError):
                raise
            raise OutputError(
                f"{self._path}: cannot be written ({error.strerror or error}); "
                f"{KEPT[self._publish]}"
            ) from error
        except BaseException:
            self.abort()
            raise

    def _open(self, picture: Picture) -> None:
        context = self._context
        growing = self._publish == "growing"
        options = dict(GROWING[self._path.suffix.lower()][1]) if growing else {}
        if context.media is not None:
            self._tags = MediaTags(context.media, self._plan.container)
            self._tags.add_options(options)
        if growing:
            self._claim()
        self._file = self._path if growing else files.temporary_beside(self._path)
        self._container = av.open(
            str(self._file.absolute()), "w", format=self._plan.container, options=options
        )
        self._pictures = PictureStream(
            self._container,
            self._plan,
            picture,
            name=self._path.name,
            rate=context.rate,
            time_base=context.time_base,
            sample_aspect_ratio=context.sample_aspect_ratio,
            scheduling=self._scheduling,
            key_frame_every_s=1.0 if growing else None,
            from_zero=growing,
        )
        if context.media is not None and context.sound:
            self._audio = AudioCarrier(context.media, self._container)
        if self._tags is not None:
            self._tags.write(self._container)

    def _claim(self) -> None:
        """Take the name, which another run may have taken since it was checked.

        Raises:
            OutputError: it has.
        """
        if self._context.overwrite:
            return
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            raise OutputError(
                f"{self._path}: another program has made this file meanwhile; choose another name"
            ) from None

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            if self._audio is not None and packet.dts is not None:
                self._audio.mux_until(packet.dts * Fraction(packet.time_base))
            self._container.mux(packet)
            self._muxed = True


def open_growing_video(path: Path, context: SinkContext) -> VideoSink:
    """See `ladle_rt.sinks.select`; raises what `VideoSink` does."""
    return VideoSink(path, context, "growing")


def _plan(path: Path, encoding: VideoEncoding, publish: Publish) -> EncoderPlan:
    """The encoder: for live pictures the first that opens here, unless one was asked for."""
    if publish == "whole":
        return plan_encoder(path, encoding)
    if path.suffix.lower() not in GROWING:
        raise OutputError(
            f"{path}: expected one of {' '.join(GROWING)} for a live recording, "
            f"received {path.suffix or 'no extension'}"
        )
    if encoding == VideoEncoding():
        return plan_live_encoder(GROWING[path.suffix.lower()][0])
    return plan_encoder(path, encoding)
