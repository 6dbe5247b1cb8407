"""Inputs that are well formed in most places: bytes and texts with a few faults."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

INTERESTING = (0, 1, 127, 128, 255, 2**15 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
"""Values that break arithmetic on sizes."""
TOKENS = re.compile(rb'"(?:[^"\\\n]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[\[\]{},:=]')
"""Of JSON and TOML."""
SPICE = (
    b"0", b"-1", b"1e999", b"-0.0", b"NaN", b"Infinity", b"9" * 400, b"1e-320", b"0.5", b"true",
    b"null", b'""', b'"\\ud800"', b'"\\u0000"', b'"' + b"a" * 5000 + b'"', b"[]", b"{}", b"[[]]",
    b"[1, 2]", b'{"a": 1}', b"[" * 5000, b'{"a":' * 5000, b"\xff\xfe", b"\x00", b"2026-01-01",
    b"inf", b"'", b'"""', b"#", b"..", b'"/dev/zero"', b'"../../x"', b"",
)  # fmt: skip
"""What stands in for a value."""


def mutate_bytes(seed: bytes, chance: random.Random) -> bytes:
    """A file with one to eight faults: flips, sizes, holes, repeats, a cut."""
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        if not data:
            break
        # Headers lie in front, and are where a fault matters most.
        reach = len(data) if chance.random() < 0.5 else min(len(data), 256)
        at = chance.randrange(reach)
        match chance.randrange(7):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                width = chance.choice((1, 2, 4))
                value = chance.choice(INTERESTING) & ((1 << 8 * width) - 1)
                order = chance.choice(("big", "little"))
                data[at : at + width] = value.to_bytes(width, order)  # type: ignore[arg-type]
            case 3:
                del data[at : at + chance.choice((1, 2, 4, 16, 256))]
            case 4:
                part = data[at : at + chance.choice((1, 4, 64, 1024))]
                data[at:at] = part * chance.choice((1, 1, 2, 50))
            case 5:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 4, 32))))
            case _:
                if chance.random() < 0.3:
                    del data[at:]
    return bytes(data)


def mutate_text(seed: bytes, chance: random.Random, spice: Sequence[bytes] = SPICE) -> bytes:
    """A document in which values, names and brackets were replaced, moved or lost."""
    data = seed
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        found = list(TOKENS.finditer(data))
        if not found or chance.random() < 0.15:
            data = mutate_bytes(data, chance)
            continue
        token = chance.choice(found)
        match chance.randrange(4):
            case 0:
                new = b""
            case 1:
                new = chance.choice(found)[0]
            case 2:
                new = token[0] + b" " + token[0]
            case _:
                new = chance.choice(spice)
        data = data[: token.start()] + new + data[token.end() :]
    return data
