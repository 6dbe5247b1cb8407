"""The thermal frames themselves, lossless; see `ladle_rt.recording.file_format`."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ladle_rt import files
from ladle_rt.errors import OutputError
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.recording.file_format import MAGIC, frame_record
from ladle_rt.sinks.base import SinkContext


class RecordingSink:
    """Keeps the frame of every picture; grows under its own name, whole up to the last frame."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, path: Path, context: SinkContext) -> None:
        """
        Raises:
            OutputError: the file cannot be written here.
        """
        files.check_target(path, overwrite=context.overwrite)
        self._path, self._overwrite = path, context.overwrite
        self._file: BinaryIO | None = None

    def write(self, translated: TranslatedFrame) -> None:
        """Append one frame; see `Sink.write`."""
        try:
            if self._file is None:
                self._file = self._path.open("wb" if self._overwrite else "xb")
                self._file.write(MAGIC)
            self._file.write(frame_record(translated.frame))
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written ({error.strerror}); what was recorded so far "
                "can be replayed"
            ) from error

    def close(self) -> None:
        """Close the file; calling it twice is harmless."""
        if self._file is not None:
            self._file.close()

    def abort(self) -> None:
        """The same: what was recorded is kept."""
        self.close()
