"""An ONNX file reduced to what one of its outputs needs.

ONNX Runtime computes every node of a graph, whatever a run asks for. The package that edits such
files is an extra, so nodes are left out in the file's bytes: by Protocol Buffers' wire format
(protobuf.dev/programming-guides/encoding) and the field numbers of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

_GRAPH, _FUNCTIONS = 7, 25
"""Of ModelProto."""
_FUNCTION_NODE = 7
"""Of FunctionProto."""
_NODE, _OUTPUT = 1, 12
"""Of GraphProto."""
_NAME = 1
"""Of ValueInfoProto."""
_INPUTS, _OUTPUTS, _KIND, _ATTRIBUTE = 1, 2, 4, 5
"""Of NodeProto."""
_SUBGRAPHS = (6, 11)
"""Of AttributeProto."""
_VARINT, _BYTES = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
"""Wire types; of those of fixed length, how many bytes."""


def only_output(model: bytes, name: str) -> bytes:
    """A model that computes one output and nothing else.

    Args:
        model: a serialised ModelProto that ONNX Runtime has accepted.
        name: of the output to keep.
    """
    return b"".join(
        _tagged(_GRAPH, _reduced(value, name.encode())) if number == _GRAPH else raw
        for number, value, raw in _fields(model)
    )


def operators(model: bytes) -> set[str]:
    """Operators of a serialised ModelProto that ONNX Runtime has accepted, of its functions too.

    Those inside branches and loops are left out.

    Raises:
        ValueError: fields that no ONNX file has.
    """
    homes = [(value, _NODE) for value in _values(model, _GRAPH)]
    homes += [(value, _FUNCTION_NODE) for value in _values(model, _FUNCTIONS)]
    nodes = [node for home, number in homes for node in _values(home, number)]
    return {kind.decode(errors="replace") for node in nodes for kind in _values(node, _KIND)}


def _reduced(graph: bytes, name: bytes) -> bytes:
    live = _live_nodes(graph, name)
    return b"".join(
        raw
        for number, value, raw in _fields(graph)
        if (number != _NODE or raw in live) and (number != _OUTPUT or name in _values(value, _NAME))
    )


def _live_nodes(graph: bytes, name: bytes) -> set[bytes]:
    """The nodes that an output needs, as their fields' bytes."""
    makers = {
        output: (raw, value)
        for number, value, raw in _fields(graph)
        if number == _NODE
        for output in _values(value, _OUTPUTS)
    }
    live: set[bytes] = set()
    needed = [name]
    while needed:
        raw, node = makers.get(needed.pop(), (b"", b""))
        if node and raw not in live:
            live.add(raw)
            needed += _read_by(node)
    return live


def _read_by(node: bytes) -> Iterator[bytes]:
    """Names that a node reads, those that its branches take from outside among them."""
    yield from _values(node, _INPUTS)
    for attribute in _values(node, _ATTRIBUTE):
        for subgraph in _values(attribute, *_SUBGRAPHS):
            for inner in _values(subgraph, _NODE):
                yield from _read_by(inner)


def _values(message: bytes, *numbers: int) -> list[bytes]:
    return [value for number, value, _ in _fields(message) if number in numbers]


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, value (of strings and messages) and all bytes of each field."""
    start = 0
    while start < len(message):
        key, at = _varint(message, start)
        wire = key & 7
        if wire == _VARINT:
            _, end = _varint(message, at)
        elif wire == _BYTES:
            length, at = _varint(message, at)
            end = at + length
        elif wire in _FIXED_BYTES:
            end = at + _FIXED_BYTES[wire]
        else:
            # Groups are older than this format; a parser skips those of unknown numbers.
            raise ValueError(f"a field of wire type {wire}")
        yield key >> 3, message[at:end], message[start:end]
        start = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _tagged(number: int, value: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(value)) + value


def _number(value: int) -> bytes:
    """The bytes of a varint."""
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*parts, value))
