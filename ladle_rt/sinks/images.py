"""One picture into one PNG file."""

from __future__ import annotations

from pathlib import Path

import cv2

from ladle_rt.errors import OutputError
from ladle_rt.files import atomic_path
from ladle_rt.frames import Picture


def write_png(path: Path, picture: Picture) -> None:
    """Write an ``rgb24`` picture; the file appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    encoded, data = cv2.imencode(".png", cv2.cvtColor(picture.data, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise OutputError(f"{path}: a picture of {picture.width}x{picture.height} is no PNG")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
