"""Pictures to standard output, for the next program in a pipeline: Matroska or YUV4MPEG2."""

from __future__ import annotations

import os
import sys
from typing import Any

import av

from ladle_rt.errors import LadleError, OutputError
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.encoding import plan_live_encoder
from ladle_rt.sinks.picture_stream import PictureStream
from ladle_rt.sinks.scheduling import OrdinaryScheduling


class _Output:
    """Standard output without Python's buffer, which would be flushed, in vain, at exit."""

    name = "standard output"

    def __init__(self) -> None:
        """
        Raises:
            OutputError: a terminal.
        """
        if sys.stdout is None or sys.stdout.isatty():
            raise OutputError("-: expected a program or a file behind standard output, found none")
        sys.stdout.flush()
        self._descriptor = os.dup(sys.stdout.fileno())

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        return len(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _gone(error: Exception) -> OutputError:
    reason = getattr(error, "strerror", None) or error
    return OutputError(f"standard output: cannot be written ({reason})")


class MatroskaStdout:
    """A `Sink` that compresses as a live recording does, with the times of the frames.

    It waits for its reader: a slow one slows the stream.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, context: SinkContext) -> None:
        """
        Raises:
            OutputError: a terminal.
            ConfigError: no encoder opens here.
        """
        self._context = context
        self._scheduling = OrdinaryScheduling()
        self._plan = plan_live_encoder("matroska")
        self._output = _Output()
        self._container: Any = None
        self._pictures: PictureStream | None = None

    def write(self, translated: TranslatedFrame) -> None:
        """Encode one picture; see `Sink.write`."""
        try:
            if self._pictures is None:
                self._open(translated)
            assert self._pictures is not None
            for packet in self._pictures.encode(translated):
                self._container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            self.abort()
            if isinstance(error, LadleError):
                raise
            raise _gone(error) from error

    def close(self) -> None:
        """Write the end; calling it twice is harmless."""
        pictures, self._pictures = self._pictures, None
        try:
            if pictures is not None:
                for packet in pictures.finish():
                    self._container.mux(packet)
                self._container.close()
        except (av.FFmpegError, OSError) as error:
            if isinstance(error, LadleError):
                raise
            raise _gone(error) from error
        finally:
            if pictures is not None:
                pictures.close()
            self._output.close()

    def abort(self) -> None:
        """Write no more."""
        pictures, self._pictures = self._pictures, None
        if pictures is not None:
            pictures.close()
        self._output.close()

    def _open(self, translated: TranslatedFrame) -> None:
        context = self._context
        options = {"flush_packets": "1"}
        self._container = av.open(self._output, "w", format="matroska", options=options)
        self._pictures = PictureStream(
            self._container,
            self._plan,
            translated.picture,
            name="standard output",
            rate=context.rate,
            time_base=context.time_base,
            sample_aspect_ratio=context.sample_aspect_ratio,
            scheduling=self._scheduling,
            key_frame_every_s=1.0,
            from_zero=True,
        )


class Y4mStdout:
    """A `Sink` of uncompressed pictures (YUV4MPEG2), which has one rate and one size.

    It waits for its reader: a slow one slows the stream.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, context: SinkContext) -> None:
        """
        Raises:
            OutputError: a terminal.
        """
        self._context = context
        self._output = _Output()
        self._size: tuple[int, int] | None = None

    def write(self, translated: TranslatedFrame) -> None:
        """Write one picture; see `Sink.write`.

        Raises:
            OutputError: the reader is gone, or the picture changed its size.
        """
        picture, size = translated.picture, (translated.picture.width, translated.picture.height)
        try:
            if self._size is None:
                self._size = size
                self._output.write(self._header(*size))
            if size != self._size:
                raise OutputError(
                    f"y4m on standard output: the picture changes from {self._size} to {size}, "
                    "which it cannot say; use --output - (Matroska)"
                )
            self._output.write(b"FRAME\n" + picture.data.tobytes())
        except OSError as error:
            self.abort()
            if isinstance(error, LadleError):
                raise
            raise _gone(error) from error

    def close(self) -> None:
        """Let go of it; calling it twice is harmless."""
        self._output.close()

    def abort(self) -> None:
        """The same."""
        self.close()

    def _header(self, width: int, height: int) -> bytes:
        rate, aspect = self._context.rate, self._context.sample_aspect_ratio
        shape = "1:1" if aspect is None else f"{aspect.numerator}:{aspect.denominator}"
        return (
            f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A{shape} "
            "C420mpeg2 XCOLORRANGE=LIMITED\n"
        ).encode()


def open_stdout(place: str, context: SinkContext) -> MatroskaStdout:
    """See `ladle_rt.sinks.select`; there is no place."""
    return MatroskaStdout(context)


def open_y4m(place: str, context: SinkContext) -> Y4mStdout:
    """See `ladle_rt.sinks.select`.

    Raises:
        OutputError: another place than standard output.
    """
    if place != "-":
        raise OutputError(f"y4m:{place}: expected y4m:-, standard output")
    return Y4mStdout(context)
