"""What of linux/videodev2.h is used: numbers, and structures of 64-bit systems.

A test holds all of it against the header.
"""

from __future__ import annotations

import struct

QUERYCAP = 0x80685600
ENUM_FMT = 0xC0405602
S_FMT = 0xC0D05605
REQBUFS = 0xC0145608
QUERYBUF = 0xC0585609
QBUF = 0xC058560F
DQBUF = 0xC0585611
STREAMON = 0x40045612
STREAMOFF = 0x40045613
S_PARM = 0xC0CC5616
ENUM_FRAMESIZES = 0xC02C564A

CAP_VIDEO_CAPTURE = 0x1
CAP_STREAMING = 0x04000000
CAP_DEVICE_CAPS = 0x80000000
BUF_TYPE_VIDEO_CAPTURE = 1
MEMORY_MMAP = 1
FRMSIZE_DISCRETE = 1
BUF_FLAG_ERROR = 0x40
BUF_FLAG_TIMESTAMP_MASK = 0xE000
BUF_FLAG_TIMESTAMP_MONOTONIC = 0x2000

CAPABILITY = struct.Struct("=16s32s32sIII12x")
"""driver, card, bus, version, capabilities, device capabilities."""
FMTDESC = struct.Struct("=III32sI16x")
"""index, type, flags, description, pixel format."""
FRMSIZEENUM = struct.Struct("=III24s8x")
"""index, pixel format, type, sizes."""
FORMAT = struct.Struct("=I4xIIIIIII172x")
"""type, width, height, pixel format, field, bytes per line, bytes, colour space."""
STREAMPARM = struct.Struct("=IIIII184x")
"""type, capability, mode, numerator and denominator of the time per frame."""
REQUESTBUFFERS = struct.Struct("=IIII4x")
"""count, type, memory, capabilities."""
BUFFER = struct.Struct("=IIIII4xqq16xIIQI12x")
"""index, type, bytes used, flags, field, seconds, microseconds, sequence, memory, offset,
length."""
"""The timestamp is a timeval, the offset the first member of a union of 8 bytes."""


def fourcc(name: str) -> int:
    """The number of a format's four letters; ``-BE`` behind them marks big-endian."""
    letters = name.removesuffix("-BE").ljust(4)
    code: int = struct.unpack("<I", letters.encode("ascii"))[0]
    return code | 1 << 31 if name.endswith("-BE") else code


def name_of(code: int) -> str:
    """The inverse of `fourcc`."""
    letters = struct.pack("<I", code & 0x7FFFFFFF).decode("ascii", "replace").rstrip()
    return f"{letters}-BE" if code >> 31 else letters
