"""One picture into one PNG file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from ladle_rt.colour import encode_png
from ladle_rt.files import write_bytes
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
    png = encode_png(picture.data)
    if exif is not None:
        png = with_chunk(png, b"eXIf", exif)
    write_bytes(path, png, overwrite=overwrite)


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG file and one chunk more, right behind IHDR.

    The specification (third edition, 5.6 and 11.3) allows ``eXIf`` and text there, and readers
    pass over what they do not know.
    """
    checked = kind + data
    chunk = struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
    return png[:IHDR_END] + chunk + png[IHDR_END:]
