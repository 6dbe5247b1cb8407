"""One picture into one PNG file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2

from ladle_rt.errors import OutputError
from ladle_rt.frames import Picture
from ladle_rt.sinks.atomic import atomic_path

IHDR_END = 8 + 25
"""Signature and first chunk of every PNG file, bytes."""


def write_png(
    path: Path, picture: Picture, *, overwrite: bool = True, exif: bytes | None = None
) -> None:
    """Write an ``rgb24`` picture; the file appears whole or not at all.

    Args:
        path: the file.
        picture: ``rgb24``.
        overwrite: whether a file that has appeared there meanwhile may be replaced.
        exif: a TIFF structure, written as the chunk ``eXIf``.

    Raises:
        OutputError: it cannot be written.
    """
    encoded, data = cv2.imencode(".png", cv2.cvtColor(picture.data, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise OutputError(f"{path}: a picture of {picture.width}x{picture.height} is no PNG")
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(_with_exif(data.tobytes(), exif))


def _with_exif(png: bytes, exif: bytes | None) -> bytes:
    """The chunk right behind IHDR, as the PNG specification (third edition, 11.3.2.5) allows."""
    if exif is None:
        return png
    checked = b"eXIf" + exif
    chunk = struct.pack(">I", len(exif)) + checked + struct.pack(">I", zlib.crc32(checked))
    return png[:IHDR_END] + chunk + png[IHDR_END:]
