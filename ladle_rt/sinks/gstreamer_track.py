"""What GStreamer's encoders make, as the video stream of a container of PyAV's."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from ladle_rt.sinks.encoding import tag_colours
from ladle_rt.sinks.gstreamer_encoder import GStreamerEncoder

KEY_FRAME_EVERY = 250
"""Pictures, where nobody joins or cuts: FFmpeg's encoders do as much by themselves."""


class GStreamerTrack:
    """A video stream, added to its container with its first packet.

    Only that says what the container's header has to hold.

    Args:
        container: a PyAV output container; owned by the caller.
        element: of `gstreamer_elements.ELEMENTS`, usable here.
        size: width and height of the pictures, pixels, even.
        rate: average pictures per second.
        time_base: seconds per unit of the pictures' ``pts``.
        aspect: width over height of a pixel.
        key_frame_every: pictures; ``None``: nobody joins or cuts, and nobody watches.

    Raises:
        OutputError: GStreamer does not start.
    """

    def __init__(
        self,
        container: Any,
        element: str,
        size: tuple[int, int],
        rate: Fraction,
        time_base: Fraction,
        aspect: Fraction,
        key_frame_every: int | None,
    ) -> None:
        self._container, self._time_base, self._aspect = container, time_base, aspect
        # Live, a picture goes out at once, not with the next one.
        patience_s = 0.0 if key_frame_every is None else float(1 / rate / 2)
        self._encoder = GStreamerEncoder(
            element, *size, rate, aspect, key_frame_every or KEY_FRAME_EVERY, patience_s
        )
        self._given = 0
        self._pts: dict[int, int] = {}
        """Of the pictures that the encoder has, by their number."""
        self._stream: Any = None
        self._tags: Any = None

    def encode(self, frame: av.VideoFrame) -> Iterator[Any]:
        """Packets that are ready after one more picture.

        Args:
            frame: ``yuv420p`` with a ``pts``.

        Raises:
            OutputError: the encoder failed.
        """
        assert frame.pts is not None
        self._pts[self._given] = frame.pts
        self._given += 1
        return self._placed(self._encoder.encode(frame.to_ndarray().astype(np.uint8, copy=False)))

    def finish(self) -> Iterator[Any]:
        """The last packets.

        Raises:
            OutputError: the encoder failed, or has lost pictures.
        """
        return self._placed(self._encoder.finish())

    def close(self) -> None:
        """End the encoder; calling it twice is harmless."""
        self._encoder.close()

    def _placed(self, numbered: Iterator[tuple[int, Any]]) -> Iterator[Any]:
        """Packets at the times of their pictures."""
        for number, packet in numbered:
            if self._stream is None:
                self._add_stream()
            (tagged,) = self._tags.filter(packet)
            tagged.stream, tagged.time_base = self._stream, self._time_base
            tagged.pts = tagged.dts = self._pts.pop(number)
            tagged.duration = 0
            yield tagged

    def _add_stream(self) -> None:
        given = self._encoder.stream
        # Opaque: it needs no encoder of FFmpeg for what is encoded already.
        stream = self._container.add_stream_from_template(given, opaque=True)
        stream.time_base = self._time_base
        # Hardware says nothing of colours within its stream, and some containers cannot.
        self._tags = BitStreamFilterContext(
            f"{given.codec_context.name}_metadata="
            f"sample_aspect_ratio={self._aspect.numerator}/{self._aspect.denominator}:"
            "colour_primaries=1:transfer_characteristics=1:matrix_coefficients=1:"
            "video_full_range_flag=0",
            given,
            stream,
        )
        tag_colours(stream.codec_context)
        stream.codec_context.sample_aspect_ratio = self._aspect
        self._stream = stream
