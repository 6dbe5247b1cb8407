"""Damage that a decoder paints over: it delivers a whole picture and says nothing.

FFmpeg's H.264 and H.265 decoders fill lost parts from the pictures around them and report no
error (PyAV does not show `AVFrame.decode_error_flags`). A second decoder that is told to stop at
an error instead finds them. It costs a second decoding of 8-bit video, well under a millisecond
for a frame of 640x512, and only until the first damage is found.
"""

from __future__ import annotations

from typing import Any

import av

from ladle_rt.media import DECODING_FAILS
from ladle_rt.sources.frame_limit import bounded

CONCEALING = ("h264", "hevc")
"""Decoders that do it."""


class ConcealmentCheck:
    """Looks at every packet of a stream, in the order of the file."""

    def __init__(self, stream: Any) -> None:
        """
        Args:
            stream: the video stream; only its parameters are used.
        """
        self.found = False
        """Whether a picture was damaged."""
        self._strict: Any = None
        self._key_pts: int | None = None
        name = stream.codec_context.name
        if name in CONCEALING:
            self._strict = av.CodecContext.create(name, "r")
            self._strict.extradata = stream.codec_context.extradata
            self._strict.options = {"err_detect": "explode", **bounded()}
            self._strict.thread_count = 1

    def inspect(self, packet: Any) -> None:
        """Take the next packet, before anything else decodes it."""
        if self._strict is None or not packet.size:
            return
        if packet.is_keyframe:
            self._key_pts = packet.pts
        if self._key_pts is None:
            # A recording that begins in the middle of a group of pictures is not damaged.
            return
        try:
            self._strict.decode(packet)
        except DECODING_FAILS:
            # Pictures shown before their key frame may refer to what was before the cut.
            if packet.pts is not None and packet.pts >= self._key_pts:
                self.found = True
                self._strict = None
