"""What a kernel takes of a multiprocessor, read from a cubin: no compiler, no GPU.

A cubin is an ELF file of 64 bits. Its section ``.nv.info`` is a row of entries: a byte of format, a
byte of meaning, two bytes of size, and then, for what is read here, a symbol's number and a value.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ENTRY = struct.Struct("<BBH")
VALUE = struct.Struct("<II")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
SIZED = 4
"""Format of an entry whose size is that of what follows; it is the value itself in others."""
FRAME_BYTES, REGISTERS = 0x11, 0x2F
"""``EIATTR_FRAME_SIZE``, ``EIATTR_REGCOUNT``."""


@dataclass(frozen=True, slots=True)
class KernelResources:
    """Of one kernel."""

    registers: int
    """Of a thread."""
    frame_bytes: int
    """Of a thread in slow memory; none means that no register was spilled either."""
    shared_bytes: int
    """Of a block."""


def read_resources(cubin: bytes) -> dict[str, KernelResources]:
    """By the names of the kernels."""
    (start,) = struct.unpack_from("<Q", cubin, 40)
    count, names_at = struct.unpack_from("<HH", cubin, 60)
    rows = [SECTION.unpack_from(cubin, start + number * SECTION.size) for number in range(count)]

    def content(row: tuple[int, ...]) -> bytes:
        return cubin[row[4] : row[4] + row[5]]

    names = content(rows[names_at])
    sections = {_text(names, row[0]): row for row in rows}
    symbols, strings = content(sections[".symtab"]), content(sections[".strtab"])
    known: dict[tuple[str, int], int] = {}
    info = content(sections[".nv.info"])
    at = 0
    while at < len(info):
        kind, meaning, size = ENTRY.unpack_from(info, at)
        at += ENTRY.size
        if kind != SIZED:
            continue
        if meaning in (FRAME_BYTES, REGISTERS):
            symbol, value = VALUE.unpack_from(info, at)
            name = _text(strings, SYMBOL.unpack_from(symbols, symbol * SYMBOL.size)[0])
            known[name, meaning] = value
        at += size
    kernels = [name[6:] for name in sections if name.startswith(".text.")]
    shared = {name: sections.get(f".nv.shared.{name}") for name in kernels}
    return {
        name: KernelResources(
            known[name, REGISTERS], known[name, FRAME_BYTES], row[5] if row else 0
        )
        for name, row in shared.items()
    }


def _text(strings: bytes, at: int) -> str:
    return strings[at : strings.index(b"\0", at)].decode()
