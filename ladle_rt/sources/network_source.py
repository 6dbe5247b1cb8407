"""Thermal frames out of a network stream: RTSP, RTMP, RTP, UDP, SRT, HTTP and TCP, by PyAV.

Reads and opening are bounded by timeouts. Nothing is buffered on purpose: a frame is delivered as
soon as its packet can be decoded, so that lag can only come from a consumer that does not read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from ladle_rt.addresses import masked
from ladle_rt.closing import Closing
from ladle_rt.errors import FalseColourError, InputError, InputNotFoundError, SourceLostError
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.media import DECODING_FAILS, open_media
from ladle_rt.sources.base import SourceInfo, SourceOptions
from ladle_rt.sources.close_guard import CloseGuard
from ladle_rt.sources.container import fraction, frame_rate
from ladle_rt.sources.frame_limit import bounded
from ladle_rt.sources.pixel_layouts import COLOURED_SHARE, coloured_share, intensities
from ladle_rt.thermal.scene_reader import live_palette

logger = logging.getLogger("ladle_rt")

TIME_BASE = Fraction(1, 1_000_000)
"""Of delivered frames: microseconds since the first one."""
PROBE = {"probesize": "500000", "analyzeduration": "1000000"}
"""Bytes and microseconds spent on finding out what the stream is."""
LOW_DELAY = {"fflags": "nobuffer+discardcorrupt", "flags": "low_delay", "max_delay": "100000"}
SDP = {"protocol_whitelist": "file,crypto,data,udp,rtp"}
"""A description of RTP names the addresses to listen at; it may not make us open files."""
NO_TIMESTAMPS = 0x80
"""AVFMT_NOTIMESTAMPS: the demuxer makes times up from an assumed rate, 25 where none is known."""
COLOUR_CHECKS = 5
MOST_FAULTS = 50
"""So many undecodable packets in a row are a lost stream."""


class NetworkSource(Closing):
    """A live `Source` at an address; opening waits for its first frame.

    Frames carry the luma plane or grey counts, uint8 or uint16. ``timestamp_ns`` is the moment
    the frame came out of the decoder. ``close`` may be called from any thread: a read that is
    going on ends by itself within the timeout and then releases the stream.
    """

    def __init__(self, url: str, options: SourceOptions | None = None) -> None:
        """
        Args:
            url: the address, or a file ending in ``.sdp`` that describes an RTP stream;
                credentials in it never appear in messages.
            options: ``timeout_s``, ``allow_colour`` and ``read.from_palette`` count here.

        Raises:
            InputNotFoundError: nothing at that address.
            InputError: no connection, refused credentials, or nothing that can be decoded.
            FalseColourError: a coloured stream without ``allow_colour``, or in no known palette.
        """
        self._options = options or SourceOptions()
        self._url, self._shown = url, masked(url)
        self._checks = 0
        self._palette = live_palette(self._options.read, self._shown)
        self._timeline = _Timeline()
        self._sequence = 0
        self._container = self._connect()
        self._timed = not self._container.format.flags & NO_TIMESTAMPS
        self._guard = CloseGuard(self._container.close)
        try:
            self._stream = self._video()
            self._decoded = self._decode()
            self._first: Frame | None = next(self._decoded, None)
            if self._first is None or self._first.fault is not None:
                raise InputError(f"{self._shown}: connected, but no frame could be decoded")
            self.info = self._describe(self._first)
        except SourceLostError as error:
            self._container.close()
            raise InputError(str(error)) from error
        except BaseException:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        """Deliver frames as they come.

        Raises:
            SourceLostError: the stream ended, or nothing came within the timeout.
        """
        closing = self._guard.closing
        with self._guard.using():
            if self._first is not None:
                first, self._first = self._first, None
                yield first
            for frame in self._decoded:
                if closing.is_set():
                    return
                yield frame
        if not closing.is_set():
            raise SourceLostError(f"{self._shown}: the stream ended")

    def close(self) -> None:
        """Release the stream; see the class."""
        self._guard.close()

    def _connect(self) -> Any:
        scheme = self._url.partition("://")[0].lower()
        options = {**PROBE, **LOW_DELAY, **bounded()}
        if scheme in ("rtsp", "rtsps"):
            # TCP passes firewalls and loses nothing.
            options["rtsp_transport"] = "tcp"
        if self._url.lower().endswith(".sdp") and "://" not in self._url:
            options |= SDP
        timeout_s = self._options.timeout_s
        try:
            return open_media(self._url, options=options, timeout=(timeout_s, timeout_s))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> InputError:
        shown = self._shown
        name = type(error).__name__
        if name in ("HTTPUnauthorizedError", "HTTPForbiddenError"):
            return InputError(f"{shown}: user name or password refused; check the address")
        if name == "HTTPNotFoundError":
            return InputNotFoundError(f"{shown}: there is no such stream on that server")
        reason = masked(str(getattr(error, "strerror", None) or error))
        if isinstance(error, av.error.ExitError) or "timed out" in reason.lower():
            return InputError(f"{shown}: no answer within {self._options.timeout_s:g} s")
        advice = "check address and network"
        if self._url.startswith("rtp:"):
            advice = "save the sender's description as a file.sdp and open that"
        return InputError(f"{shown}: cannot be opened ({reason}); {advice}")

    def _video(self) -> Any:
        streams = self._container.streams.video
        if not streams:
            raise InputError(f"{self._shown}: expected a video stream, found none")
        stream = streams[0]
        if stream.codec_context is None:
            raise InputError(f"{self._shown}: no decoder for its video; have it sent as H.264")
        # One thread: frame threads would hold several frames back.
        stream.thread_type = "SLICE"
        stream.codec_context.thread_count = 1
        stream.codec_context.options = bounded()
        return stream

    def _describe(self, first: Frame) -> SourceInfo:
        height, width = first.pixels.shape
        ratio = fraction(self._stream.sample_aspect_ratio)
        return SourceInfo(
            width=width,
            height=height,
            time_base=TIME_BASE,
            rate=frame_rate(self._stream),
            sample_aspect_ratio=None if ratio == 1 else ratio,
            live=True,
            name=self._shown,
        )

    def _decode(self) -> Iterator[Frame]:
        faults = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                return
            except av.error.InvalidDataError as error:
                faults += 1
                if faults > MOST_FAULTS:
                    raise SourceLostError(f"{self._shown}: nothing can be decoded") from error
                # The first ones only say that one joined between two key frames.
                if self._sequence and faults == 1:
                    yield self._frame(np.empty((0, 0), np.uint8), None, "damaged packet")
                packets = self._container.demux(self._stream)
                continue
            except (*DECODING_FAILS, OSError) as error:
                raise self._loss(error) from error
            for frame in frames:
                faults = 0
                yield self._frame(self._pixels(frame), frame.time if self._timed else None, None)

    def _loss(self, error: Exception) -> SourceLostError:
        if isinstance(error, av.error.ExitError):
            return SourceLostError(f"{self._shown}: no frame for {self._options.timeout_s:g} s")
        reason = masked(str(getattr(error, "strerror", None) or error))
        return SourceLostError(f"{self._shown}: the connection is lost ({reason})")

    def _frame(self, pixels: ThermalPixels, time_s: float | None, fault: str | None) -> Frame:
        now_ns = time.monotonic_ns()
        placed_s = self._timeline.place(time_s, now_ns)
        frame = Frame(pixels, self._sequence, now_ns, round(placed_s / TIME_BASE), TIME_BASE, fault)
        self._sequence += 1
        return frame

    def _pixels(self, frame: av.VideoFrame) -> ThermalPixels:
        if self._palette is not None:
            rgb: Any = frame.to_ndarray(format="rgb24")
            return self._palette.levels(rgb)
        allow = self._options.allow_colour
        if self._checks < COLOUR_CHECKS:
            self._checks += 1
            share = coloured_share(frame)
            if share > COLOURED_SHARE and not allow:
                raise FalseColourError(
                    f"{self._shown}: {share:.0%} of the picture is coloured; expected thermal "
                    "intensities in grey: choose the camera's white-hot palette, turn it back with "
                    "--from-palette auto, or use the luminance with --allow-colour"
                )
        return intensities(frame, luminance=allow)


class _Timeline:
    """Seconds since the first frame, by the stream's clock; ours for frames without a time.

    The two clocks have nothing in common but their pace: a time of one is never taken for a time
    of the other.
    """

    def __init__(self) -> None:
        self._origin_s: float | None = None
        """The stream's time that is 0."""
        self._last: tuple[float, int] | None = None
        """Where the last frame was placed, and when it came, monotonic nanoseconds."""

    def place(self, time_s: float | None, now_ns: int) -> float:
        """The time of the next frame.

        Args:
            time_s: by the stream's clock, where it says.
            now_ns: when it came, monotonic.
        """
        if time_s is None or self._origin_s is None:
            last_s, last_ns = self._last or (0.0, now_ns)
            placed_s = last_s + (now_ns - last_ns) * 1e-9
            if time_s is not None:
                self._origin_s = time_s - placed_s
        else:
            placed_s = time_s - self._origin_s
        self._last = placed_s, now_ns
        return placed_s
