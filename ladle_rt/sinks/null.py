"""Nobody looks: for measuring, and for streams that only keep figures."""

from __future__ import annotations

from ladle_rt.frames import PixelFormat, TranslatedFrame


class NullSink:
    """Takes every picture and keeps none."""

    pixel_format: PixelFormat = "yuv420p"

    def write(self, translated: TranslatedFrame) -> None:
        """Forget the picture."""

    def close(self) -> None:
        """Nothing to publish."""

    def abort(self) -> None:
        """Nothing to remove."""
