"""The same network in fewer and rounder channels: what an exporter can do and training cannot.

Both changes are exact but for the rounding of fp32: a linear pair of 1x1 convolutions becomes its
product, and channels that nothing reads fill awkward counts up, which every kernel would otherwise
do for itself at run time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from ladle_rt.engines.precision.placement import ACTIVATIONS, CHANNEL_MULTIPLE, Wiring

MOST_GROWTH = 1 / 3
"""Padding that adds a larger share of channels than this costs more than it wins."""
POOLS = ("AveragePool", "MaxPool", "Resize")
Weights = npt.NDArray[np.float32]


def simplify(model: onnx.ModelProto) -> None:
    """Fold linear pairs, then pad, in place.

    Args:
        model: fp32 graph as exported. An activation that is an output, or read twice, such as
            class scores, stays as it is.
    """
    while (pair := _linear_pair(model)) is not None:
        _fold(model, *pair)
    # Shapes that the exporter wrote down are from before.
    del model.graph.value_info[:]
    for name in [node.name for node in model.graph.node if node.op_type == "Conv"]:
        _pad(model, name)
    read = {name for node in model.graph.node for name in node.input}
    kept = [item for item in model.graph.initializer if item.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _linear_pair(model: onnx.ModelProto) -> tuple[onnx.NodeProto, onnx.NodeProto] | None:
    """A 1x1 convolution that only another one reads, and which is cheaper as one with it."""
    wiring = Wiring(model)
    for first in wiring.nodes:
        readers = wiring.readers.get(first.output[0], ())
        if len(readers) != 1 or readers[0] < 0 or not _is_pointwise(first, wiring):
            continue
        second = wiring.nodes[readers[0]]
        if not _is_pointwise(second, wiring):
            continue
        middle, inputs = wiring.shapes[first.input[1]][:2]
        outputs = wiring.shapes[second.input[1]][0]
        if inputs * outputs <= middle * (inputs + outputs):
            return first, second
    return None


def _is_pointwise(node: onnx.NodeProto, wiring: Wiring) -> bool:
    if not _is_dense(node, wiring) or wiring.shapes[node.input[1]][2:] != (1, 1):
        return False
    values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    strides, pads = values.get("strides", (1, 1)), values.get("pads", (0,))
    return set(strides) == {1} and not any(pads) and values.get("auto_pad", b"NOTSET") == b"NOTSET"


def _is_dense(node: onnx.NodeProto, wiring: Wiring) -> bool:
    """A convolution of one group whose weights and bias are constants."""
    if node.op_type != "Conv" or not all(name in wiring.shapes for name in node.input[1:]):
        return False
    return next((item.i for item in node.attribute if item.name == "group"), 1) == 1


def _fold(model: onnx.ModelProto, first: onnx.NodeProto, second: onnx.NodeProto) -> None:
    inner, inner_bias = _parameters(model, first)
    outer, outer_bias = _parameters(model, second)
    left = outer[:, :, 0, 0].astype(np.float64)
    weight = left @ inner[:, :, 0, 0].astype(np.float64)
    bias = left @ inner_bias.astype(np.float64) + outer_bias
    second.input[0] = first.input[0]
    _set_parameters(model, second, weight[:, :, None, None], bias)
    model.graph.node.remove(first)


def _pad(model: onnx.ModelProto, name: str) -> None:
    """Give a convolution channels of zeros if that makes what the next one reads a round number."""
    wiring = Wiring(model)
    node = next(item for item in wiring.nodes if item.name == name)
    if not _is_dense(node, wiring):
        return
    channels = wiring.shapes[node.input[1]][0]
    found = _next_convolution(model, wiring, node.output[0], channels)
    if found is None:
        return
    reader, start = found
    weight, _ = _parameters(model, reader)
    extra = -weight.shape[1] % CHANNEL_MULTIPLE
    if not 0 < extra <= MOST_GROWTH * weight.shape[1]:
        return
    # Zeros times zeros: finite whatever activation lies between.
    wider = np.insert(weight, [start + channels] * extra, 0, axis=1)
    _set_parameters(model, reader, wider, None)
    weight, bias = _parameters(model, node)
    rows = np.zeros((extra, *weight.shape[1:]), np.float32)
    _set_parameters(
        model, node, np.concatenate((weight, rows)), np.concatenate((bias, np.zeros(extra)))
    )


def _next_convolution(
    model: onnx.ModelProto, wiring: Wiring, tensor: str, channels: int
) -> tuple[onnx.NodeProto, int] | None:
    """Who alone reads a tensor, through what keeps channels apart, and its first channel there."""
    start = 0
    widths: dict[str, int] | None = None
    while True:
        readers = wiring.readers.get(tensor, ())
        if len(readers) != 1 or readers[0] < 0:
            return None
        node = wiring.nodes[readers[0]]
        if node.op_type == "Conv":
            return (node, start) if tensor == node.input[0] and _is_dense(node, wiring) else None
        if node.op_type == "Concat":
            widths = widths or _widths(model)
            before = [widths.get(name, 0) for name in node.input[: list(node.input).index(tensor)]]
            if helper.get_attribute_value(node.attribute[0]) != 1 or not all(before):
                return None
            start += sum(before)
        elif node.op_type not in (*ACTIVATIONS, *POOLS) or tensor != node.input[0]:
            return None
        elif node.op_type == "Resize" and len(node.input) > 3:
            return None  # sizes name the number of channels
        tensor = node.output[0]


def _widths(model: onnx.ModelProto) -> dict[str, int]:
    """Number of channels of each tensor, where it is known."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        item.name: item.type.tensor_type.shape.dim[1].dim_value
        for item in (*graph.input, *graph.value_info)
        if len(item.type.tensor_type.shape.dim) == 4
    }


def _parameters(model: onnx.ModelProto, node: onnx.NodeProto) -> tuple[Weights, Weights]:
    """Weights [O,I,h,w] and bias [O], zeros where there is none."""
    values = {
        item.name: numpy_helper.to_array(item)
        for item in model.graph.initializer
        if item.name in node.input[1:]
    }
    weight = values[node.input[1]]
    bias = values[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight), np.float32)
    return weight, bias


def _set_parameters(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    weight: npt.NDArray[np.floating],
    bias: npt.NDArray[np.floating] | None,
) -> None:
    """New constants, in case another node shares the old ones; ``None`` leaves the bias."""
    names = [f"{node.output[0]}_weight", f"{node.output[0]}_bias"]
    taken = {item.name for item in model.graph.initializer}
    for port, (name, value) in enumerate(zip(names, (weight, bias), strict=True), start=1):
        if value is None:
            continue
        while name in taken:
            name += "_"
        array = np.ascontiguousarray(value, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
        if port < len(node.input):
            node.input[port] = name
        else:
            node.input.append(name)
