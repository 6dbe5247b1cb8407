"""One picture into one PNG file."""

from __future__ import annotations

from pathlib import Path

from ladle_rt.colour import encode_png
from ladle_rt.files import write_whole
from ladle_rt.frames import Picture


def write_png(path: Path, picture: Picture) -> None:
    """Write an ``rgb24`` picture; the file appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    data = encode_png(picture.data)
    write_whole(path, lambda part: part.write_bytes(data))
