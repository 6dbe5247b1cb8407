"""fp32 graph to INT8 as explicit Q/DQ pairs.

What TensorRT wants: symmetric int8 everywhere, zero point 0, weights per output channel, no
quantised bias, both inputs of a residual Add quantised (NVIDIA TensorRT documentation, "Working
with quantized types"). The same file runs on OpenVINO's integer kernels.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from ladle_rt.engines.precision.half import sort_nodes, to_half
from ladle_rt.errors import ConfigError, ModelError

OPERATORS = ("Conv", "Add", "Concat", "Resize", "MaxPool")
"""Operators whose inputs and outputs get Q/DQ pairs. The activations between are not among them:
an engine fuses them into the convolution before. What comes before the first convolution stays in
float: it is arithmetic on the thermal image, where eight bits would be felt in every pixel."""


def quantizable_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the convolutions, in the order of the graph."""
    return tuple(node.name for node in model.graph.node if node.op_type == "Conv")


def quantizable_tensors(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the activations that may get a Q/DQ pair, in the order of the graph."""
    weights = {tensor.name for tensor in model.graph.initializer}
    early = _before_convolutions(model)
    names: dict[str, None] = {}
    for node in model.graph.node:
        if node.op_type in OPERATORS and node.name not in early:
            # Of a Resize only the first input is an image.
            inputs = node.input[:1] if node.op_type == "Resize" else node.input
            for name in (*inputs, *node.output):
                if name and name not in weights:
                    names[name] = None
    return tuple(names)


def quantize(
    model: onnx.ModelProto,
    ranges: Mapping[str, float],
    *,
    float_nodes: Collection[str] = (),
    base: Literal["fp32", "fp16"] = "fp32",
    keep_io: bool = True,
) -> onnx.ModelProto:
    """Put Q/DQ pairs around convolutions and what joins them.

    Args:
        model: fp32 graph; stays as it is.
        ranges: largest \\|x\\| to represent, for each of `quantizable_tensors`.
        float_nodes: convolutions left as they are.
        base: what everything else computes in.
        keep_io: with ``fp16``, whether input and output stay float32.

    Raises:
        ConfigError: a range is missing or not positive and finite, or a node is unknown.
        ModelError: the graph has Q/DQ pairs already.
    """
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ModelError("expected an fp32 graph to quantise, received one with Q/DQ pairs")
    convolutions = quantizable_nodes(model)
    unknown = sorted(set(float_nodes) - set(convolutions))
    if unknown:
        raise ConfigError(f"float_nodes: expected convolutions of the graph, received {unknown[0]}")
    tensors = quantizable_tensors(model)
    bad = [name for name in tensors if not 0 < ranges.get(name, 0) < np.inf]
    if bad:
        raise ConfigError(
            f"ranges: expected a positive, finite one for each of {len(tensors)} tensors, "
            f"{len(bad)} are not, first {bad[0]!r}: {ranges.get(bad[0])}; calibrate again"
        )
    graph = _insert_pairs(model, {name: ranges[name] for name in tensors}, float_nodes)
    return graph if base == "fp32" else to_half(graph, keep_io)


def _insert_pairs(
    model: onnx.ModelProto, ranges: Mapping[str, float], float_nodes: Collection[str]
) -> onnx.ModelProto:
    """ONNX Runtime's quantiser with given ranges: not public API, seen working in 1.32."""
    spans = {
        name: TensorData(lowest=np.float32(-span), highest=np.float32(span))
        for name, span in ranges.items()
    }
    excluded = [*float_nodes, *_fed_by_float(model, float_nodes), *_before_convolutions(model)]
    options: dict[str, Any] = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        # Weights stay int8 in the file: a DequantizeLinear alone, a quarter of the size.
        "AddQDQPairToWeight": False,
        "QuantizeBias": False,
        "QDQOpTypePerChannelSupportToAxis": {"Conv": 0},
    }
    quantizer = QDQQuantizer(
        copy.deepcopy(model),
        per_channel=True,
        # Weights of 7 bits: integer kernels without VNNI add two products in 16 bits, which
        # overflow with 8 (SSIM to fp32 0.934 instead of 0.984 on the shipped model). Where they
        # do not, the picture is as good: 39.0 dB against 38.8.
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, spans),
        nodes_to_quantize=[],
        nodes_to_exclude=excluded,
        op_types_to_quantize=list(OPERATORS),
        extra_options=options,
    )
    quantizer.quantize_model()
    quantised: onnx.ModelProto = quantizer.model.model
    del quantised.graph.value_info[:]
    sort_nodes(quantised)
    return quantised


def _before_convolutions(model: onnx.ModelProto) -> set[str]:
    """Joins and resizes that no convolution feeds, by name."""
    behind: set[str] = set()
    early: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "Conv" or behind.intersection(node.input):
            behind.update(node.output)
        elif node.op_type in OPERATORS:
            early.add(node.name)
    return early


def _fed_by_float(model: onnx.ModelProto, float_nodes: Collection[str]) -> list[str]:
    """Joins and resizes that only float convolutions feed or read: a pair there gains nothing."""
    if not float_nodes:
        return []
    kept = set(float_nodes)
    makers = {output: node for node in model.graph.node for output in node.output}

    def maker(name: str) -> onnx.NodeProto | None:
        node = makers.get(name)
        while node is not None and node.op_type not in OPERATORS:
            node = makers.get(node.input[0]) if node.input else None
        return node

    found = []
    for node in model.graph.node:
        if node.op_type in OPERATORS and node.op_type != "Conv":
            feeding = [maker(name) for name in node.input[:2]]
            if all(one is None or one.name in kept for one in feeding):
                found.append(node.name)
                kept.add(node.name)
    return found
