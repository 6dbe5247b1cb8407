"""Nobody looks: for measuring, and for streams that only keep figures."""

from __future__ import annotations

from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext


class NullSink:
    """Takes every picture and keeps none."""

    pixel_format: PixelFormat = "yuv420p"

    def write(self, translated: TranslatedFrame) -> None:
        """Forget the picture."""

    def close(self) -> None:
        """Nothing to publish."""

    def abort(self) -> None:
        """Nothing to remove."""


def open_null(place: str, context: SinkContext) -> NullSink:
    """See `ladle_rt.sinks.select`; there is no place, and any frame will do."""
    return NullSink()
