"""fp32 graph to INT8 as explicit Q/DQ pairs.

What TensorRT wants: symmetric int8 everywhere, zero point 0, weights per output channel, no
quantised bias (NVIDIA TensorRT documentation, "Working with quantized types"), and pairs where
`placement` says. The same file runs on OpenVINO's integer kernels. ONNX Runtime's own quantiser
puts a pair on a tensor for all its readers; which of them read it matters here.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from ladle_rt.engines.precision.half import sort_nodes, to_half
from ladle_rt.engines.precision.placement import Read, Wiring, place_pairs, quantizable_nodes
from ladle_rt.errors import ConfigError, ModelError

LEVELS = 127
"""Largest magnitude of an activation in eight bits."""
WEIGHT_LEVELS = 64
"""Weights have 7 bits: integer kernels without VNNI add two products in 16 bits, which overflow
with 8 (SSIM to fp32 0.934 instead of 0.984 on the shipped model). Where they do not, the picture is
as good: 39.0 dB against 38.8."""


def quantizable_tensors(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the activations that may get a Q/DQ pair, in the order of the graph."""
    return tuple(dict.fromkeys(read.tensor for read in place_pairs(model)))


def quantize(
    model: onnx.ModelProto,
    ranges: Mapping[str, float],
    *,
    float_nodes: Collection[str] = (),
    base: Literal["fp32", "fp16"] = "fp32",
    keep_io: bool = True,
) -> onnx.ModelProto:
    """Put Q/DQ pairs before convolutions and what joins them.

    Args:
        model: fp32 graph; stays as it is.
        ranges: largest \\|x\\| to represent, for each of `quantizable_tensors`.
        float_nodes: those of `quantizable_nodes` left as they are.
        base: what everything else computes in.
        keep_io: with ``fp16``, whether input and output stay float32.

    Raises:
        ConfigError: a range is missing or not positive and finite, or a node is unknown.
        ModelError: the graph has Q/DQ pairs already, or no convolution that they suit.
    """
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ModelError("expected an fp32 graph to quantise, received one with Q/DQ pairs")
    suited = quantizable_nodes(model)
    if not suited:
        raise ModelError(
            "expected convolutions that INT8 is for, received narrow and depthwise ones alone; "
            "stay with fp16"
        )
    unknown = sorted(set(float_nodes) - set(suited))
    if unknown:
        raise ConfigError(
            f"float_nodes: expected quantizable convolutions of the graph, received {unknown[0]}"
        )
    tensors = quantizable_tensors(model)
    bad = [name for name in tensors if not 0 < ranges.get(name, 0) < np.inf]
    if bad:
        raise ConfigError(
            f"ranges: expected a positive, finite one for each of {len(tensors)} tensors, "
            f"{len(bad)} are not, first {bad[0]!r}: {ranges.get(bad[0])}; calibrate again"
        )
    graph = _with_pairs(model, ranges, place_pairs(model, float_nodes))
    return graph if base == "fp32" else to_half(graph, keep_io)


def _with_pairs(
    model: onnx.ModelProto, ranges: Mapping[str, float], reads: Sequence[Read]
) -> onnx.ModelProto:
    quantised = copy.deepcopy(model)
    graph = quantised.graph
    # Pairs change no type or shape that is written there, but sort_nodes and to_half trust it.
    del graph.value_info[:]
    scales = _scales(Wiring(model), ranges, reads)
    weights = {item.name: item for item in graph.initializer}
    nodes = list(graph.node)
    for name, scale in scales.items():
        parameters = _parameters(graph, name, np.float32(scale))
        graph.node.extend(
            (
                helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}_quantized"]),
                helper.make_node(
                    "DequantizeLinear", [f"{name}_quantized", *parameters], [f"{name}_dequantized"]
                ),
            )
        )
    done: set[str] = set()
    for read in reads:
        node = nodes[read.node]
        node.input[read.port] = f"{read.tensor}_dequantized"
        if node.op_type == "Conv":
            name = node.input[1]
            if name not in done:
                done.add(name)
                _quantize_weights(graph, weights[name])
            node.input[1] = f"{name}_dequantized"
    _drop_unread(graph)
    sort_nodes(quantised)
    return quantised


def _scales(wiring: Wiring, ranges: Mapping[str, float], reads: Sequence[Read]) -> dict[str, float]:
    """Step of each tensor that gets a pair. What only moves or mixes pixels keeps its input's, so
    that an engine need not requantise."""
    scales: dict[str, float] = {}
    for name in sorted({read.tensor for read in reads}, key=lambda t: wiring.makers.get(t, -1)):
        maker = wiring.maker(name)
        moved = maker is not None and maker.op_type in ("MaxPool", "Resize")
        kept = scales.get(maker.input[0]) if maker is not None and moved else None
        scales[name] = ranges[name] / LEVELS if kept is None else kept
    return scales


def _quantize_weights(graph: onnx.GraphProto, weight: onnx.TensorProto) -> None:
    """int8 in the file and a DequantizeLinear behind: a quarter of the size."""
    values = numpy_helper.to_array(weight)
    largest = np.abs(values.reshape(len(values), -1)).max(axis=1)
    scale = np.where(largest > 0, largest / np.float32(WEIGHT_LEVELS), 1).astype(np.float32)
    steps = np.rint(values / scale[:, None, None, None])
    limited = np.clip(steps, -WEIGHT_LEVELS, WEIGHT_LEVELS).astype(np.int8)
    graph.initializer.append(numpy_helper.from_array(limited, f"{weight.name}_quantized"))
    parameters = _parameters(graph, weight.name, scale)
    graph.node.append(
        helper.make_node(
            "DequantizeLinear",
            [f"{weight.name}_quantized", *parameters],
            [f"{weight.name}_dequantized"],
            axis=0,
        )
    )


def _parameters(
    graph: onnx.GraphProto, name: str, scale: npt.NDArray[np.float32] | np.float32
) -> tuple[str, str]:
    """Names of a scale and its zero point, which are added."""
    step = np.asarray(scale, np.float32)
    names = f"{name}_scale", f"{name}_zero_point"
    graph.initializer.append(numpy_helper.from_array(step, names[0]))
    graph.initializer.append(numpy_helper.from_array(np.zeros(step.shape, np.int8), names[1]))
    return names


def _drop_unread(graph: onnx.GraphProto) -> None:
    read = {name for node in graph.node for name in node.input}
    kept = [item for item in graph.initializer if item.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
