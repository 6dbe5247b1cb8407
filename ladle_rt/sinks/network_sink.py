"""Pictures out to the network: RTSP, RTP, UDP and SRT, by PyAV.

A thread of its own connects, encodes and sends, so that a peer that is slow or away never holds
the stream up: it misses frames instead, and is called again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import av

from ladle_rt.addresses import masked
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.encoding import plan_live_encoder
from ladle_rt.sinks.newest_slot import NewestSlot
from ladle_rt.sinks.picture_stream import PictureStream
from ladle_rt.sinks.scheduling import OrdinaryScheduling
from ladle_rt.sinks.sink_thread import SinkThread

logger = logging.getLogger("ladle_rt")

FORMATS = {
    "rtsp": ("rtsp", {"rtsp_transport": "tcp"}),
    "rtp": ("rtp_mpegts", {}),
    "udp": ("mpegts", {}),
    "srt": ("mpegts", {}),
}
"""By scheme: FFmpeg's format and options."""
TIMEOUT_S = 5.0
FIRST_RETRY_S, LONGEST_RETRY_S = 0.25, 5.0
JOIN_TIMEOUT_S = 2 * TIMEOUT_S


class NetworkSink:
    """A `Sink` whose pictures go to one address; of those that come too fast the newest goes."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, url: str, context: SinkContext) -> None:
        """
        Args:
            url: where to; its scheme is one of `FORMATS`.
            context: what the frames will be like.

        Raises:
            ConfigError: no encoder opens here.
        """
        self._url, self._context = url, context
        self._format, self._options = FORMATS[url.partition("://")[0].lower()]
        self._scheduling = OrdinaryScheduling()
        self._plan = plan_live_encoder("mpegts" if self._format != "rtsp" else "rtsp")
        self._slot = NewestSlot()
        self._logged = False
        self._thread = SinkThread(self._serve, "network sink")

    def write(self, translated: TranslatedFrame) -> None:
        """Hand over one picture; returns at once."""
        self._thread.check()
        self._slot.put(translated)

    @property
    def skipped(self) -> Mapping[str, int]:
        """Pictures that the peer never got."""
        return {masked(self._url): self._slot.missed}

    def close(self) -> None:
        """Say goodbye to the peer; bounded."""
        self._slot.close()
        self._thread.join(JOIN_TIMEOUT_S)

    def abort(self) -> None:
        """The same: what was sent was sent."""
        self.close()

    def _serve(self) -> None:
        retry_s = FIRST_RETRY_S
        while (first := self._slot.take()) is not None:
            begin_s = time.monotonic()
            try:
                self._talk(first)
                return
            except (av.FFmpegError, OSError, ValueError) as error:
                self._slot.lost()
                self._log_failure(error)
            if time.monotonic() - begin_s > LONGEST_RETRY_S:
                retry_s = FIRST_RETRY_S
            self._slot.pause(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    def _talk(self, first: TranslatedFrame) -> None:
        """Send until closed.

        Raises:
            av.FFmpegError: the connection is gone.
        """
        context = self._context
        container: Any = av.open(
            self._url, "w", format=self._format, options=self._options, timeout=TIMEOUT_S
        )
        pictures: PictureStream | None = None
        try:
            pictures = PictureStream(
                container,
                self._plan,
                first.picture,
                name=masked(self._url),
                rate=context.rate,
                time_base=context.time_base,
                sample_aspect_ratio=context.sample_aspect_ratio,
                scheduling=self._scheduling,
                key_frame_every_s=1.0,
            )
            picture: TranslatedFrame | None = first
            while picture is not None:
                for packet in pictures.encode(picture):
                    container.mux(packet)
                if self._logged:
                    logger.warning("%s: sending again", masked(self._url))
                    self._logged = False
                picture = self._slot.take()
            for packet in pictures.finish():
                container.mux(packet)
        finally:
            if pictures is not None:
                pictures.close()
            # The goodbye of a connection that is gone fails too.
            with suppress(av.FFmpegError, OSError):
                container.close()

    def _log_failure(self, error: Exception) -> None:
        if not self._logged:
            reason = masked(str(getattr(error, "strerror", None) or error))
            logger.warning("%s: cannot be sent to (%s); trying on", masked(self._url), reason)
            self._logged = True
