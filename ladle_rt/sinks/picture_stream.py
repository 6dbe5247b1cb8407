"""Pictures into the video stream of a container, alike for files and network."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.video.reformatter import ColorRange, Colorspace

from ladle_rt.frames import Picture, TranslatedFrame
from ladle_rt.sinks.encoding import EncoderPlan, configure, tag_colours
from ladle_rt.sinks.gstreamer_elements import ELEMENTS
from ladle_rt.sinks.gstreamer_encoder import GStreamerEncoder
from ladle_rt.sinks.scheduling import GREEDY_ENCODERS, OrdinaryScheduling

logger = logging.getLogger("ladle_rt")


LONGEST_STEP = {"mp4": 2**30, "mov": 2**30}
"""Ticks from one picture to the next that a container surely holds: FFmpeg gives up from 2**31 on,
and pictures that are written in another order than they are shown step further."""


KEY_FRAME_EVERY = 250
"""Pictures, where nobody joins or cuts: FFmpeg's encoders do as much by themselves."""


class PictureStream:
    """One video stream; opened for its first picture, to which later sizes are scaled.

    That of GStreamer's encoders is added to the container with its first packet, which says what
    the container's header has to hold.
    """

    def __init__(
        self,
        container: Any,
        plan: EncoderPlan,
        picture: Picture,
        *,
        name: str,
        rate: Fraction,
        time_base: Fraction,
        sample_aspect_ratio: Fraction | None,
        scheduling: OrdinaryScheduling,
        key_frame_every_s: float | None = None,
        from_zero: bool = False,
    ) -> None:
        """
        Args:
            container: a PyAV output container; owned by the caller.
            plan: the encoder.
            picture: the first one; ``yuv420p``, even sides.
            name: what to call the output in warnings.
            rate: average frames per second, for the encoder's rate control.
            time_base: seconds per unit of the frames' ``pts``.
            sample_aspect_ratio: width over height of a pixel; ``None`` for square.
            scheduling: the thread's own, put back after greedy encoders.
            key_frame_every_s: for streams that one may join or cut anywhere.
            from_zero: the first picture's time becomes 0; else times stay the source's.

        Raises:
            av.FFmpegError: the encoder does not open.
            OutputError: neither does GStreamer.
        """
        self._container, self._aspect = container, sample_aspect_ratio
        self._plan, self._name, self._rate = plan, name, rate
        self._source_time_base = time_base
        self._scheduling = scheduling
        self._time_base = plan.time_base(time_base, rate)
        self._width, self._height = picture.width, picture.height
        self._last_pts: int | None = None
        self._shift: int | None = None if from_zero else 0
        self._warned_size = False
        self._stream: Any = None
        self._gstreamer: GStreamerEncoder | None = None
        self._tags: Any = None
        self._pts: dict[int, int] = {}
        """Of the pictures that GStreamer has, by their number."""
        every = (
            None if key_frame_every_s is None else max(1, round(rate * Fraction(key_frame_every_s)))
        )
        if plan.codec in ELEMENTS:
            self._given = 0
            self._gstreamer = GStreamerEncoder(
                plan.codec,
                picture.width,
                picture.height,
                rate,
                sample_aspect_ratio or Fraction(1),
                every or KEY_FRAME_EVERY,
            )
            return
        stream = container.add_stream(plan.codec, rate=rate)
        configure(stream, plan, picture.width, picture.height)
        stream.codec_context.time_base = stream.time_base = self._time_base
        if plan.container == "avi":
            # AVI has no presentation times, so pictures must not be reordered.
            stream.codec_context.max_b_frames = 0
            stream.codec_context.options = {**plan.options, "bf": "0"}
        if every is not None:
            stream.codec_context.gop_size = every
        if sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        self._stream = stream

    @property
    def end_s(self) -> Fraction:
        """Where the last picture ends, seconds."""
        assert self._last_pts is not None
        return self._last_pts * self._time_base + 1 / self._rate

    def encode(self, translated: TranslatedFrame) -> Iterable[Any]:
        """Packets that are ready after one more picture.

        Raises:
            av.FFmpegError: the encoder failed.
            OutputError: GStreamer did.
        """
        frame = self._to_av(translated.picture)
        frame.pts = self._place(translated)
        if self._gstreamer is not None:
            self._pts[self._given] = frame.pts
            self._given += 1
            return self._placed(self._gstreamer.encode(frame.to_ndarray()))
        frame.time_base = self._time_base
        packets: Iterable[Any] = self._stream.encode(frame)
        if self._plan.codec in GREEDY_ENCODERS:
            self._scheduling.restore()
        return packets

    def finish(self) -> Iterable[Any]:
        """The last packets."""
        if self._gstreamer is not None:
            return self._placed(self._gstreamer.finish())
        packets: Iterable[Any] = self._stream.encode(None)
        return packets

    def close(self) -> None:
        """Give up what is not finished; calling it twice is harmless."""
        if self._gstreamer is not None:
            self._gstreamer.close()

    def _placed(self, numbered: Iterator[tuple[int, Any]]) -> Iterator[Any]:
        """GStreamer's packets at the times of their pictures."""
        for number, packet in numbered:
            if self._stream is None:
                assert self._gstreamer is not None
                given = self._gstreamer.stream
                # Opaque: it needs no encoder of FFmpeg for what is encoded already.
                stream = self._container.add_stream_from_template(given, opaque=True)
                stream.time_base = self._time_base
                self._tags = BitStreamFilterContext(self._metadata(given), given, stream)
                tag_colours(stream.codec_context)
                if self._aspect is not None:
                    stream.codec_context.sample_aspect_ratio = self._aspect
                self._stream = stream
            (tagged,) = self._tags.filter(packet)
            tagged.stream, tagged.time_base = self._stream, self._time_base
            tagged.pts = tagged.dts = self._pts.pop(number)
            tagged.duration = 0
            yield tagged

    def _metadata(self, given: Any) -> str:
        """FFmpeg's filter that says within the stream what hardware leaves out: the colours."""
        aspect = self._aspect or Fraction(1)
        return (
            f"{given.codec_context.name}_metadata=sample_aspect_ratio={aspect.numerator}/"
            f"{aspect.denominator}:colour_primaries=1:transfer_characteristics=1:"
            "matrix_coefficients=1:video_full_range_flag=0"
        )

    def _to_av(self, picture: Picture) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(picture.data, format=picture.format)
        frame.color_range = ColorRange.MPEG
        frame.colorspace = Colorspace.ITU709
        if (picture.width, picture.height) == (self._width, self._height):
            return frame
        if not self._warned_size:
            self._warned_size = True
            logger.warning(
                "%s: the picture changes from %dx%d to %dx%d; it is scaled to the first size",
                self._name,
                self._width,
                self._height,
                picture.width,
                picture.height,
            )
        return frame.reformat(width=self._width, height=self._height, interpolation="BICUBIC")

    def _place(self, translated: TranslatedFrame) -> int:
        """The frame's time in the encoder's ticks, later than the one before."""
        source = translated.frame
        if source.pts is None:
            wanted = round(source.sequence / self._rate / self._time_base)
        else:
            base = source.time_base or self._source_time_base
            wanted = round(source.pts * base / self._time_base)
        if self._shift is None:
            self._shift = -wanted
        wanted += self._shift
        if self._last_pts is not None:
            longest = LONGEST_STEP.get(self._plan.container)
            if longest is not None and wanted - self._last_pts > longest:
                excess = wanted - self._last_pts - longest
                logger.warning(
                    "%s: %s cannot hold the gap of %.0f s before the next picture; it is %.0f s "
                    "shorter there (a .mkv keeps it)",
                    self._name,
                    self._plan.container,
                    (excess + longest) * self._time_base,
                    excess * self._time_base,
                )
                self._shift -= excess
                wanted -= excess
            wanted = max(wanted, self._last_pts + 1)
        self._last_pts = wanted
        return wanted
