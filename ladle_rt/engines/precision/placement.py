"""Where Q/DQ pairs go: which readers of which tensors see eight bits.

An engine fuses a convolution with its activation, and with a residual Add behind it, into one
integer kernel if a pair stands before the convolution and one behind what was fused, and none
between (NVIDIA/TensorRT#2134). So pairs belong to what is read, not to what is written: the input
of a convolution and of what joins convolutions, and the skip of a residual Add; never its branch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx

LEAST_CHANNELS = 16
CHANNEL_MULTIPLE = 8
"""Convolutions with fewer channels, or another multiple, stay in float: integer kernels would
compute on padding, and the last of them paint single pixels."""
JOINS = ("Concat", "Resize", "MaxPool")
ACTIVATIONS = ("Clip", "LeakyRelu", "Relu", "Sigmoid")


@dataclass(frozen=True, slots=True)
class Read:
    """One input of one node that gets a pair."""

    node: int
    """Index of the node in the graph."""
    port: int
    """Which of its inputs."""
    tensor: str


class Wiring:
    """Who makes and who reads each tensor of a graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes: Sequence[onnx.NodeProto] = model.graph.node
        self.shapes = {item.name: tuple(item.dims) for item in model.graph.initializer}
        self.makers = {name: i for i, node in enumerate(self.nodes) for name in node.output}
        self.readers: dict[str, list[int]] = {output.name: [-1] for output in model.graph.output}
        """Indices of nodes; -1 stands for whoever reads the graph's output."""
        for index, node in enumerate(self.nodes):
            for name in node.input:
                self.readers.setdefault(name, []).append(index)

    def maker(self, tensor: str) -> onnx.NodeProto | None:
        """The node that makes a tensor; None for an input or a constant."""
        return self.nodes[self.makers[tensor]] if tensor in self.makers else None

    def images(self, node: onnx.NodeProto) -> list[tuple[int, str]]:
        """Port and name of the activations that a node computes on."""
        # Of a Resize only the first input is an image.
        names = node.input if node.op_type in ("Add", "Concat") else node.input[:1]
        return [(port, name) for port, name in enumerate(names) if name not in self.shapes]

    def behind_convolutions(self) -> set[str]:
        """Tensors that a convolution has a part in."""
        found: set[str] = set()
        for node in self.nodes:
            if node.op_type == "Conv" or found.intersection(node.input):
                found.update(node.output)
        return found


def quantizable_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the convolutions that integer kernels are made for, in the order of the graph.

    Not those of one group per channel, nor narrow ones (`LEAST_CHANNELS`).
    """
    wiring = Wiring(model)
    return tuple(node.name for node in wiring.nodes if _suits(node, wiring))


def place_pairs(model: onnx.ModelProto, float_nodes: Collection[str] = ()) -> tuple[Read, ...]:
    """Every read that gets a Q/DQ pair, in the order of the graph.

    Args:
        model: fp32 graph, nodes in the order of computation.
        float_nodes: convolutions left as they are.
    """
    wiring = Wiring(model)
    convolutions = {
        index
        for index, node in enumerate(wiring.nodes)
        if _suits(node, wiring) and node.name not in float_nodes
    }
    joins = _joins(wiring, convolutions)
    reads = [
        Read(index, port, name)
        for index in convolutions | joins
        for port, name in wiring.images(wiring.nodes[index])
    ]
    behind = wiring.behind_convolutions()
    for index, node in enumerate(wiring.nodes):
        skip = _skip(node, wiring, convolutions) if node.op_type == "Add" else None
        if skip is not None and skip.tensor in behind:
            reads.append(Read(index, skip.port, skip.tensor))
    return tuple(sorted(reads, key=lambda read: (read.node, read.port)))


def _suits(node: onnx.NodeProto, wiring: Wiring) -> bool:
    if node.op_type != "Conv" or node.input[1] not in wiring.shapes:
        return False
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    channels = wiring.shapes[node.input[1]][:2]
    return groups == 1 and all(
        count >= LEAST_CHANNELS and count % CHANNEL_MULTIPLE == 0 for count in channels
    )


def _joins(wiring: Wiring, convolutions: set[int]) -> set[int]:
    """Joins between quantised convolutions: a pair elsewhere only adds work.

    What comes before the first convolution is not among them: it is arithmetic on the thermal
    image, where eight bits would be felt in every pixel.
    """
    wanted: set[str] = set()
    """Tensors that are read in eight bits."""
    leading: set[int] = set()
    for index in reversed(range(len(wiring.nodes))):
        node = wiring.nodes[index]
        joins = node.op_type in JOINS and node.output[0] in wanted
        if joins:
            leading.add(index)
        if joins or index in convolutions:
            wanted.update(name for _, name in wiring.images(node))
    made: set[str] = set()
    found: set[int] = set()
    for index, node in enumerate(wiring.nodes):
        fed = made.intersection(name for _, name in wiring.images(node))
        if fed and index in leading:
            found.add(index)
        passes = fed and node.op_type in (*ACTIVATIONS, "Add")
        if passes or index in convolutions or index in found:
            made.update(node.output)
    return found


def _skip(node: onnx.NodeProto, wiring: Wiring, convolutions: set[int]) -> Read | None:
    """The input of an Add that is not the branch, if the branch is a quantised convolution's.

    The branch is read by the Add alone, so that the Add becomes part of its kernel. Of two such
    the later is it. What else is added must be a picture of its own right: read by others too, or
    made by a convolution that is quantised.
    """
    images = wiring.images(node)
    if len(images) != 2:
        return None
    branches = [
        (port, name)
        for port, name in images
        if wiring.readers[name] == [wiring.makers.get(node.output[0])]
        and _convolution(name, wiring) in convolutions
    ]
    if not branches:
        return None
    branch = max(branches, key=lambda item: wiring.makers[item[1]])
    port, skip = images[1 - branch[0]]
    own = len(wiring.readers[skip]) > 1 or _convolution(skip, wiring) in convolutions
    return Read(wiring.makers[node.output[0]], port, skip) if own else None


def _convolution(tensor: str, wiring: Wiring) -> int | None:
    """Index of the convolution that made a tensor, by itself or through its activation."""
    node = wiring.maker(tensor)
    if node is not None and node.op_type in ACTIVATIONS:
        tensor = node.input[0]
        node = wiring.maker(tensor)
    return wiring.makers[tensor] if node is not None and node.op_type == "Conv" else None
