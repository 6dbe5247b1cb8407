"""Every picture as a file of its own."""

from __future__ import annotations

from pathlib import Path

from ladle_rt.colour import to_rgb
from ladle_rt.errors import OutputError
from ladle_rt.frames import Picture, PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.png import write_png


class FolderSink:
    """PNG files named by the frame's number in the source, ``00000012.png``, each whole."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, folder: Path, context: SinkContext) -> None:
        """
        Raises:
            OutputError: not a folder that can be made, or one that holds pictures already.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
        if not context.overwrite and any(folder.glob("*.png")):
            raise OutputError(
                f"{folder}: already holds pictures; choose another folder, or replace them with "
                "--overwrite"
            )
        self._folder = folder

    def write(self, translated: TranslatedFrame) -> None:
        """Write one file; see `Sink.write`."""
        rgb = to_rgb(translated.picture)
        path = self._folder / f"{translated.frame.sequence:08}.png"
        write_png(path, Picture("rgb24", rgb, rgb.shape[1], rgb.shape[0]))

    def close(self) -> None:
        """Nothing to finish: every file is whole."""

    def abort(self) -> None:
        """Nothing to remove: what was written are whole pictures."""
