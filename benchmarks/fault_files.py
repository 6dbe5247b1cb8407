"""Small files that ask for all memory or for ever."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import onnx
from fuzz_seeds import network
from onnx import TensorProto, helper, numpy_helper


def png_bomb(side: int = 30_000) -> bytes:
    """A grey PNG of zeros, ``side`` squared."""
    packer = zlib.compressobj(9)
    row = bytes(side + 1)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def hostile_model(kind: str) -> bytes:
    """A network whose picture waits for a long loop, or for 10 GB."""
    model = onnx.load_from_string(network())
    graph, of = model.graph, helper.make_tensor_value_info
    if kind == "memory":
        graph.initializer.append(numpy_helper.from_array(np.array([2_500_000_000]), "many"))
        added = [
            helper.make_node("ConstantOfShape", ["many"], ["big"]),
            helper.make_node("ReduceMax", ["big"], ["factor"], keepdims=0),
        ]
    else:
        body = helper.make_graph(
            [helper.make_node("Identity", ["on"], ["on_still"]),
             helper.make_node("Identity", ["x"], ["x_next"])],
            "body",
            [of("i", TensorProto.INT64, []), of("on", TensorProto.BOOL, []),
             of("x", TensorProto.FLOAT, [])],
            [of("on_still", TensorProto.BOOL, []), of("x_next", TensorProto.FLOAT, [])],
        )  # fmt: skip
        graph.initializer.append(numpy_helper.from_array(np.array(2**62), "times"))
        graph.initializer.append(numpy_helper.from_array(np.float32(1), "one"))
        added = [helper.make_node("Loop", ["times", "", "one"], ["factor"], body=body)]
    (last,) = [node for node in graph.node if node.output[0] == "rgb"]
    last.output[0] = "clean"
    graph.node.extend([*added, helper.make_node("Mul", ["clean", "factor"], ["rgb"])])
    data: bytes = model.SerializeToString()
    return data
