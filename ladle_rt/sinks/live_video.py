"""A video file that is whole at every moment: it plays up to its last second after a power cut.

Matroska in short, flushed clusters, or MP4 in fragments. Such a file grows under its own name,
because a recording that only appears at its end would be lost with the power; a start that
fails leaves nothing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import av

from ladle_rt import files
from ladle_rt.errors import LadleError, OutputError
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.encoding import plan_live_encoder
from ladle_rt.sinks.picture_stream import PictureStream
from ladle_rt.sinks.scheduling import OrdinaryScheduling

CONTAINERS = {
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


class LiveVideoSink:
    """A `Sink` that records what is shown, with the times of the frames."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, path: Path, context: SinkContext) -> None:
        """
        Args:
            path: the file, ``.mkv`` or ``.mp4``.
            context: what the frames will be like.

        Raises:
            OutputError: another extension, or a place that cannot be written.
            ConfigError: no encoder opens here.
        """
        if path.suffix.lower() not in CONTAINERS:
            raise OutputError(
                f"{path}: expected one of {' '.join(CONTAINERS)} for a live recording, "
                f"received {path.suffix or 'no extension'}"
            )
        files.check_target(path, overwrite=context.overwrite)
        self._path, self._context = path, context
        self._format, self._options = CONTAINERS[path.suffix.lower()]
        self._scheduling = OrdinaryScheduling()
        self._plan = plan_live_encoder(self._format)
        self._container: Any = None
        self._pictures: PictureStream | None = None
        self._written = False

    def write(self, translated: TranslatedFrame) -> None:
        """Encode one picture; see `Sink.write`."""
        try:
            if self._pictures is None:
                self._open(translated)
            assert self._pictures is not None
            for packet in self._pictures.encode(translated):
                self._container.mux(packet)
                self._written = True
        except (av.FFmpegError, OSError) as error:
            self.abort()
            if isinstance(error, LadleError):
                raise
            raise OutputError(
                f"{self._path}: cannot be written ({error.strerror or error}); what was recorded "
                "so far can be played"
            ) from error

    def close(self) -> None:
        """Write the end of the file; see `Sink.close`."""
        pictures, self._pictures = self._pictures, None
        if pictures is None:
            return
        try:
            for packet in pictures.finish():
                self._container.mux(packet)
            container, self._container = self._container, None
            container.close()
        except (av.FFmpegError, OSError) as error:
            self.abort()
            raise OutputError(
                f"{self._path}: its end cannot be written ({error.strerror or error}); what was "
                "recorded so far can be played"
            ) from error

    def abort(self) -> None:
        """Close the file; it is kept when anything was recorded."""
        container, self._container, self._pictures = self._container, None, None
        if container is None:
            return
        with suppress(av.FFmpegError, OSError):
            container.close()
        if not self._written:
            files.discard(self._path)

    def _open(self, translated: TranslatedFrame) -> None:
        context = self._context
        self._container = av.open(
            str(self._path.absolute()), "w", format=self._format, options=self._options
        )
        self._pictures = PictureStream(
            self._container,
            self._plan,
            translated.picture,
            name=self._path.name,
            rate=context.rate,
            time_base=context.time_base,
            sample_aspect_ratio=context.sample_aspect_ratio,
            scheduling=self._scheduling,
            key_frame_every_s=1.0,
            from_zero=True,
        )
