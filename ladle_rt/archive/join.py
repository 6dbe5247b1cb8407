"""Segments into the video that one run would have made: packets are copied, sound goes along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ladle_rt.config import VideoEncoding
from ladle_rt.errors import OutputError
from ladle_rt.frames import MediaPart
from ladle_rt.sinks.audio import AudioCarrier
from ladle_rt.sinks.encoding import plan_encoder
from ladle_rt.sinks.media_tags import MediaTags


def join(
    segments: Sequence[Path],
    video: Path,
    media: MediaPart,
    encoding: VideoEncoding,
    sound: bool,
) -> None:
    """Write one video.

    Args:
        segments: their files in order, at least one.
        video: the file to write; its extension chooses the container.
        media: the recording, whose sound, tags and chapters go along.
        encoding: that the segments were encoded with.
        sound: carry the recording's sound.

    Raises:
        OutputError: the segments do not belong together, or it cannot be written.
    """
    container_name = plan_encoder(video, encoding).container
    options: dict[str, str] = {}
    tags = MediaTags(media, container_name)
    tags.add_options(options)
    audio: AudioCarrier | None = None
    try:
        with av.open(
            str(video.absolute()), "w", format=container_name, options=options
        ) as container:
            joined = _Joined(container, segments[0])
            if sound:
                audio = AudioCarrier(media, container)
            tags.write(container)
            for segment in segments:
                joined.add(segment, audio)
            if audio is not None:
                audio.mux_until(None)
                audio.finish()
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{video}: cannot be written ({error.strerror or error})") from error
    finally:
        if audio is not None:
            audio.close()
    tags.warn_lost(video)


class _Joined:
    """The video stream of the result."""

    def __init__(self, container: Any, first: Path) -> None:
        self._container = container
        with av.open(str(first.absolute())) as one:
            (stream,) = one.streams.video
            self._kind = _kind(stream)
            self._target = container.add_stream_from_template(stream)
            self._target.time_base = stream.time_base
        self._last_dts: int | None = None

    def add(self, segment: Path, audio: AudioCarrier | None) -> None:
        """Append the packets of one segment, and sound up to them."""
        with av.open(str(segment.absolute())) as one:
            (stream,) = one.streams.video
            if _kind(stream) != self._kind:
                raise OutputError(
                    f"{segment.name}: encoded by another FFmpeg than the first segment; install "
                    "the same PyAV on every node and translate the recording again"
                )
            for packet in _timed(one.demux(stream)):
                self._place(packet)
                if audio is not None:
                    audio.mux_until(packet.dts * Fraction(packet.time_base))
                packet.stream = self._target
                self._container.mux(packet)

    def _place(self, packet: Any) -> None:
        """Decoding times must grow; an encoder's first ones reach back before its start."""
        if self._last_dts is not None and packet.dts <= self._last_dts:
            packet.dts = self._last_dts + 1
        self._last_dts = packet.dts


def _timed(packets: Iterable[Any]) -> Iterator[Any]:
    """The packets of a NUT file, each with a decoding time.

    NUT keeps times of presentation. FFmpeg finds the decoding times of all packets but the first
    ones of an encoder that reorders: as many as its pictures are late.
    """
    early: list[Any] = []
    for packet in packets:
        if not packet.size:
            # The end of the stream.
            continue
        early.append(packet)
        if packet.dts is not None:
            yield from _back_from(early, packet.dts)
            early = []
    if early:
        # Fewer packets than the encoder holds back: none has a time to go back from.
        yield from _back_from(early, min(packet.pts for packet in early))


def _back_from(packets: Sequence[Any], last_dts: int) -> Sequence[Any]:
    for back, packet in enumerate(reversed(packets)):
        packet.dts = last_dts - back * (packet.duration or 1)
    return packets


def _kind(stream: Any) -> tuple[Any, ...]:
    context = stream.codec_context
    return context.name, context.width, context.height, context.extradata, stream.time_base
