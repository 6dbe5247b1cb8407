"""fp32 graph to fp16 graph."""

from __future__ import annotations

import copy

import onnx
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16


def to_half(model: onnx.ModelProto, keep_io: bool = True) -> onnx.ModelProto:
    """Everything between input and output in fp16, nothing mixed: fit for a strongly typed network.

    Args:
        model: fp32 graph; stays as it is.
        keep_io: input and output stay float32, with a Cast behind the one and before the other.
    """
    # It converts in place, and value_info of fp32 would contradict the new types.
    draft = copy.deepcopy(model)
    del draft.graph.value_info[:]
    half: onnx.ModelProto = convert_float_to_float16(draft, keep_io_types=keep_io)
    sort_nodes(half)
    return half


def sort_nodes(model: onnx.ModelProto) -> None:
    """Put nodes behind what they read, as ONNX wants it; the conversions append new ones."""
    ONNXModel(model).topological_sort()
