"""Where Q/DQ pairs go, on small graphs made for one rule each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ladle_rt.engines.precision.placement import place_pairs, quantizable_nodes
from ladle_rt.engines.precision.qdq_report import report_qdq
from ladle_rt.engines.precision.quantize import quantizable_tensors, quantize

RNG = np.random.default_rng(0)
SHAPES: dict[str, tuple[int, ...]] = {}
"""Of the weights that `conv` has named."""


def conv(name: str, source: str, inputs: int, outputs: int, group: int = 1) -> onnx.NodeProto:
    """A 3x3 convolution, whose weights `graph` makes."""
    made = helper.make_node(
        "Conv", [source, f"{name}_w"], [name], name=name, pads=[1] * 4, group=group
    )
    SHAPES[f"{name}_w"] = (outputs, inputs // group, 3, 3)
    return made


def graph(nodes: Sequence[onnx.NodeProto], output: str = "rgb") -> onnx.ModelProto:
    """A network of 32 channels in; weights are random."""
    names = {name for node in nodes for name in node.input}
    weights = [
        numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32) / 20, name)
        for name, shape in SHAPES.items()
        if name in names
    ]
    weights.append(numpy_helper.from_array(np.float32([1, 1, 2, 2]), "twice"))
    made = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("thermal", TensorProto.FLOAT, [1, 32, 16, 16])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 9
    return model


def op(kind: str, inputs: Sequence[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


def placed(model: onnx.ModelProto, *float_nodes: str) -> set[tuple[str, str]]:
    """Reader and tensor of every pair."""
    nodes = model.graph.node
    return {(nodes[read.node].name, read.tensor) for read in place_pairs(model, float_nodes)}


def test_a_block_with_a_skip() -> None:
    model = graph(
        [
            conv("first", "thermal", 32, 32),
            op("Relu", ["first"], "x"),
            conv("a", "x", 32, 32),
            op("Relu", ["a"], "y"),
            conv("b", "y", 32, 32),
            op("Add", ["x", "b"], "sum"),
            conv("rgb", "sum", 32, 16),
        ]
    )
    assert placed(model) == {
        ("first", "thermal"),
        ("a", "x"),
        ("b", "y"),
        ("sum", "x"),
        ("rgb", "sum"),
    }
    # In float the branch has no kernel on eight bits that the Add could be part of.
    assert ("sum", "x") not in placed(model, "b")
    report = report_qdq(quantize(model, dict.fromkeys(quantizable_tensors(model), 3.0)))
    assert report.unfused == () and report.int8_convolutions == 4
    assert report.float_boundaries == 1, "the graph's input alone"


def test_activations_that_are_read_raw_elsewhere_stay_raw() -> None:
    """A convolution's output that is also concatenated: the pair is the Concat's alone."""
    model = graph(
        [
            conv("a", "thermal", 32, 32),
            op("Relu", ["a"], "x"),
            op("Concat", ["a", "x"], "both", axis=1),
            conv("rgb", "both", 64, 16),
        ]
    )
    quantised = quantize(model, dict.fromkeys(quantizable_tensors(model), 3.0))
    nodes = {node.name: node for node in quantised.graph.node if node.name}
    assert nodes["x"].input[0] == "a" and nodes["both"].input[0] != "a"
    assert report_qdq(quantised).unfused == ()


@pytest.mark.parametrize(
    ("inputs", "outputs", "group"), [(32, 12, 1), (32, 8, 1), (32, 19, 1), (32, 32, 32)]
)
def test_narrow_and_depthwise_stay_in_float(inputs: int, outputs: int, group: int) -> None:
    odd = conv("odd", "x", inputs, outputs, group)
    model = graph(
        [conv("a", "thermal", 32, 32), op("Relu", ["a"], "x"), odd, op("Relu", ["odd"], "rgb")]
    )
    assert quantizable_nodes(model) == ("a",)
    assert placed(model) == {("a", "thermal")}


def test_joins_only_between_quantised_convolutions() -> None:
    def network(last: int) -> onnx.ModelProto:
        return graph(
            [
                op("MaxPool", ["thermal"], "early", kernel_shape=[2, 2], strides=[2, 2]),
                conv("a", "early", 32, 32),
                op("Relu", ["a"], "x"),
                op("Resize", ["x", "", "twice"], "large", mode="nearest"),
                op("Concat", ["large", "thermal"], "both", axis=1),
                conv("rgb", "both", 64, last),
            ]
        )

    wide = placed(network(16))
    assert {("large", "x"), ("both", "large"), ("both", "thermal"), ("rgb", "both")} <= wide
    assert ("early", "thermal") not in wide
    assert placed(network(12)) == {("a", "early")}


def test_nothing_before_depth_to_space() -> None:
    model = graph(
        [
            conv("a", "thermal", 32, 32),
            op("DepthToSpace", ["a"], "pixels", blocksize=2),
            conv("rgb", "pixels", 8, 3),
        ]
    )
    assert placed(model) == {("a", "thermal")}


def test_what_moves_pixels_keeps_the_step() -> None:
    model = graph(
        [
            conv("a", "thermal", 32, 32),
            op("Relu", ["a"], "x"),
            op("MaxPool", ["x"], "small", kernel_shape=[2, 2], strides=[2, 2]),
            conv("rgb", "small", 32, 16),
        ]
    )
    quantised = quantize(model, {"thermal": 1.0, "x": 2.0, "small": 1.5})
    values = {item.name: numpy_helper.to_array(item) for item in quantised.graph.initializer}
    assert values["small_scale"] == values["x_scale"] == np.float32(2 / 127)


def with_pair(model: onnx.ModelProto, tensor: str, readers: Sequence[str]) -> onnx.ModelProto:
    """A pair where it should not be."""
    for name, value in (("s", np.float32(0.1)), ("z", np.int8(0))):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    for node in model.graph.node:
        if node.name in readers:
            for port, name in enumerate(node.input):
                if name == tensor:
                    node.input[port] = "dq"
    model.graph.node.append(op("QuantizeLinear", [tensor, "s", "z"], "q"))
    model.graph.node.append(op("DequantizeLinear", ["q", "s", "z"], "dq"))
    return model


def test_the_report_finds_what_cannot_be_fused() -> None:
    between = graph([conv("a", "thermal", 32, 32), op("Relu", ["a"], "rgb")])
    assert report_qdq(with_pair(between, "a", ["rgb"])).unfused == ("a",)
    shuffled = graph(
        [
            conv("a", "thermal", 32, 32),
            op("Relu", ["a"], "x"),
            op("DepthToSpace", ["x"], "rgb", blocksize=2),
        ]
    )
    report = report_qdq(with_pair(shuffled, "x", ["rgb"]))
    assert report.unfused == ("x",) and (report.pairs, report.float_boundaries) == (1, 1)
    added = graph(
        [conv("a", "thermal", 32, 32), op("Relu", ["a"], "x"), op("Add", ["x", "x"], "rgb")]
    )
    assert report_qdq(with_pair(added, "x", ["rgb"])).unfused == ("x",)
