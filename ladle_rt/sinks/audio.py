"""Audio of the input, carried over beside new pictures."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ladle_rt.frames import MediaPart
from ladle_rt.media import open_media

logger = logging.getLogger("ladle_rt")

KEEPS_NEGATIVE_TIMES = {"mp4", "mov"}
"""Elsewhere the muxer would move pictures and sound to make room for times before 0."""
AUDIO_BIT_RATE = 128_000
"""Bits per second of audio that is encoded again."""


class _Track:
    """One audio stream on its way: copied, or re-encoded where the container needs it."""

    def __init__(self, source: Any, target: Any, copied: bool) -> None:
        self.target = target
        self._source = source
        self._copied = copied
        self._last_dts: int | None = None
        self._resampler: Any = None

    def convert(self, packet: Any, origin_s: Fraction) -> Iterator[Any]:
        """Packets for the output, from one of the input (an empty one flushes)."""
        if self._copied:
            if packet.dts is not None:
                yield from self._copy(packet, origin_s)
            return
        for frame in packet.decode():
            if frame.pts is not None:
                frame.pts -= int(origin_s / frame.time_base)
            yield from self._encode(frame)

    def flush(self) -> Iterator[Any]:
        """What the encoder still holds."""
        if not self._copied and self._resampler is not None:
            for rest in self._resampler.resample(None):
                yield from self.target.encode(rest)
            yield from self.target.encode(None)

    def _copy(self, packet: Any, origin_s: Fraction) -> Iterator[Any]:
        moved = round(origin_s / packet.time_base)
        packet.dts -= moved
        if packet.pts is not None:
            packet.pts -= moved
        # A muxer ends the whole file over a step back in time: a damaged packet less is better.
        if self._last_dts is None or packet.dts > self._last_dts:
            self._last_dts = packet.dts
            packet.stream = self.target
            yield packet

    def _encode(self, frame: Any) -> Iterator[Any]:
        context = self.target.codec_context
        if self._resampler is None:
            context.open()
            self._resampler = av.AudioResampler(
                format=context.format,
                layout=context.layout,
                rate=context.sample_rate,
                frame_size=context.frame_size,
            )
        for resampled in self._resampler.resample(frame):
            yield from self.target.encode(resampled)


class AudioCarrier:
    """Reads the input a second time, for audio only, in step with the pictures.

    Memory stays constant: packets are muxed up to the time of the last picture.
    """

    def __init__(self, media: MediaPart, output: Any) -> None:
        """
        Args:
            media: the input and the part of it that goes along.
            output: the open output container; streams are added to it.
        """
        self._media = media
        self._output = output
        self._input = _open(media.path)
        self._tracks: dict[int, _Track] = {}
        for stream in self._input.streams.audio:
            track = _add_track(stream, output)
            if track is not None:
                self._tracks[stream.index] = track
        self._packets = self._read()
        self._waiting: Any = None
        self._warned_damage = False

    def mux_until(self, time_s: Fraction | None) -> None:
        """Write all audio up to an output time; ``None`` writes the rest."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if time_s is not None and self._time_s(packet) > time_s:
                self._waiting = packet
                return
            self._mux(self._tracks[packet.stream.index].convert(packet, self._media.origin_s))

    def finish(self) -> None:
        """Write what re-encoding still holds, and close the input."""
        for track in self._tracks.values():
            self._mux(track.flush())
        self.close()

    def close(self) -> None:
        """Close the input; calling it twice is harmless."""
        self._input.close()

    def _mux(self, packets: Iterable[Any]) -> None:
        """Write what a packet becomes; one that is damaged is left out.

        Raises:
            OSError: the output cannot be written.
        """
        try:
            for packet in packets:
                self._output.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            # What a disk or a pipe says is an `OSError` too; the rest is about the packet.
            if isinstance(error, OSError):
                raise
            self._warn_damage("parts are left out")

    def _warn_damage(self, result: str) -> None:
        if not self._warned_damage:
            self._warned_damage = True
            logger.warning("%s: its audio is damaged; %s", self._media.path.name, result)

    def _time_s(self, packet: Any) -> Fraction:
        time = packet.pts if packet.pts is not None else packet.dts
        return int(time) * Fraction(packet.time_base) - self._media.origin_s

    def _read(self) -> Iterator[Any]:
        """Packets within the part, in file order."""
        if not self._tracks:
            return
        streams = [self._input.streams[index] for index in self._tracks]
        media = self._media
        negative = self._output.format.name.split(",")[0] in KEEPS_NEGATIVE_TIMES
        begin_s = media.begin_s if media.begin_s is not None or negative else Fraction(0)
        if media.begin_s is not None and media.origin_s > 1:
            self._seek(int((media.origin_s - 1) * av.time_base))
        packets = self._input.demux(streams)
        ended: set[int] = set()
        while len(ended) < len(streams):
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                self._warn_damage("it ends early")
                return
            if packet.dts is None:
                continue
            time_s = self._time_s(packet)
            if media.end_s is not None and time_s >= media.end_s:
                ended.add(packet.stream.index)
            elif begin_s is None or time_s >= begin_s:
                yield packet

    def _seek(self, offset: int) -> None:
        try:
            self._input.seek(offset)
        except av.FFmpegError:
            self._input.close()
            self._input = _open(self._media.path)


def _open(path: Path) -> Any:
    return open_media(str(path.absolute()))


def _add_track(stream: Any, output: Any) -> _Track | None:
    """Prepare one stream: copied if the container takes its codec, else re-encoded."""
    if stream.codec_context is None:
        logger.warning("audio without a decoder is left out")
        return None
    codec, kind = stream.codec_context.name, output.format.name
    if _accepts(output, stream):
        return _Track(stream, output.add_stream_from_template(stream), copied=True)
    substitute = output.default_audio_codec
    try:
        rate = 48_000 if substitute == "opus" else stream.codec_context.sample_rate
        encoder = "libopus" if substitute == "opus" else substitute
        target = output.add_stream(encoder, rate=rate)
        target.bit_rate = AUDIO_BIT_RATE
        target.layout = "stereo" if stream.codec_context.channels > 1 else "mono"
    except (ValueError, av.FFmpegError):
        logger.warning("audio codec %s does not fit into %s: left out", codec, kind)
        return None
    logger.warning("audio codec %s does not fit into %s: encoded as %s", codec, kind, substitute)
    return _Track(stream, target, copied=False)


def _accepts(output: Any, stream: Any) -> bool:
    """Ask a throw-away container, because a refusal leaves the real one unusable."""
    with av.open(io.BytesIO(), "w", format=output.format.name) as trial:
        try:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
        except (ValueError, av.FFmpegError):
            return False
    return True
