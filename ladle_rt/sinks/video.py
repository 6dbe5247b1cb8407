"""Colour pictures into a video file, by PyAV."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ladle_rt import files
from ladle_rt.errors import OutputError
from ladle_rt.frames import Picture, PixelFormat, TranslatedFrame
from ladle_rt.sinks.audio import AudioCarrier, AudioPlan
from ladle_rt.sinks.encoding import VideoEncoding, plan_encoder
from ladle_rt.sinks.picture_stream import PictureStream
from ladle_rt.sinks.scheduling import OrdinaryScheduling


class VideoSink:
    """A video file that appears whole or not at all, with the times of its frames.

    The encoder opens at the first picture; later pictures of another size are scaled to it.
    MP4 files keep their index at the end: moving it to the front would read and write the
    whole file a second time, which only matters to progressive web playback.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(
        self,
        path: Path,
        encoding: VideoEncoding,
        *,
        rate: Fraction,
        time_base: Fraction,
        sample_aspect_ratio: Fraction | None = None,
        audio_from: AudioPlan | None = None,
        overwrite: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        """
        Args:
            path: the file; its extension chooses the container.
            encoding: codec and quality.
            rate: average frames per second, for the encoder's rate control.
            time_base: seconds per unit of the frames' ``pts``.
            sample_aspect_ratio: width over height of a pixel; ``None`` for square.
            audio_from: audio to carry over.
            overwrite: whether an existing file may be replaced.
            stop: when set at `close`, audio ends with the last picture instead of its own end.

        Raises:
            OutputError: unknown extension, or a place that cannot be written.
            ConfigError: an encoder that does not exist, fit the container or its settings.
        """
        inputs = [] if audio_from is None else [audio_from.path]
        files.check_target(path, overwrite=overwrite, inputs=inputs)
        self._scheduling = OrdinaryScheduling()
        self._plan = plan_encoder(path, encoding)
        # It has opened encoders to try them.
        self._scheduling.restore()
        self._path = path
        self._rate = rate
        self._time_base = time_base
        self._aspect = sample_aspect_ratio
        self._audio_from = audio_from
        self._stop = stop
        self._temporary: Path | None = None
        self._container: Any = None
        self._audio: AudioCarrier | None = None

    def write(self, translated: TranslatedFrame) -> None:
        """Encode one picture.

        Args:
            translated: ``yuv420p``, even sides; its frame must have a ``pts``.

        Raises:
            OutputError: it cannot be written, for example on a full disk; nothing is left.
        """
        with self._writing():
            picture = translated.picture
            if self._container is None:
                self._open(picture)
            self._mux(self._pictures.encode(translated))

    def close(self) -> None:
        """Finish the file and put it in place; calling it twice is harmless.

        Raises:
            OutputError: it cannot be finished or put in place; nothing is left.
        """
        if self._container is None:
            return
        with self._writing():
            self._mux(self._pictures.finish())
            if self._audio is not None:
                cut = self._stop is not None and self._stop.is_set()
                self._audio.mux_until(self._pictures.end_s if cut else None)
                self._audio.finish()
            container, self._container = self._container, None
            container.close()
        assert self._temporary is not None
        temporary, self._temporary = self._temporary, None
        files.publish(temporary, self._path)

    def abort(self) -> None:
        """Remove the unfinished file; harmless at any time."""
        container, self._container = self._container, None
        if self._audio is not None:
            self._audio.close()
        if container is not None:
            # The trailer of a file that is thrown away may fail to write.
            with suppress(av.FFmpegError, OSError):
                container.close()
        if self._temporary is not None:
            files.discard(self._temporary)
            self._temporary = None

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
                "nothing was left behind"
            ) from error
        except BaseException:
            self.abort()
            raise

    def _open(self, picture: Picture) -> None:
        self._temporary = files.temporary_beside(self._path)
        self._container = av.open(str(self._temporary.absolute()), "w", format=self._plan.container)
        self._pictures = PictureStream(
            self._container,
            self._plan,
            picture,
            name=self._path.name,
            rate=self._rate,
            time_base=self._time_base,
            sample_aspect_ratio=self._aspect,
            scheduling=self._scheduling,
        )
        if self._audio_from is not None:
            self._audio = AudioCarrier(self._audio_from, self._container)

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            if self._audio is not None and packet.dts is not None:
                self._audio.mux_until(packet.dts * Fraction(packet.time_base))
            self._container.mux(packet)
