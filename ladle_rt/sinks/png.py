"""One picture into one PNG file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from ladle_rt.colour import encode_png
from ladle_rt.files import write_whole
from ladle_rt.frames import Picture

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
    data = _with_exif(encode_png(picture.data), exif)
    write_whole(path, lambda part: part.write_bytes(data), overwrite=overwrite)


def _with_exif(png: bytes, exif: bytes | None) -> bytes:
    """The chunk right behind IHDR, as the PNG specification (third edition, 11.3.2.5) allows."""
    if exif is None:
        return png
    checked = b"eXIf" + exif
    chunk = struct.pack(">I", len(exif)) + checked + struct.pack(">I", zlib.crc32(checked))
    return png[:IHDR_END] + chunk + png[IHDR_END:]
