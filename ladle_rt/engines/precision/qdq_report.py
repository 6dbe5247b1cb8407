"""What an engine will make of a graph's Q/DQ pairs, read from the graph alone."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from ladle_rt.engines.precision.placement import ACTIVATIONS, JOINS, Wiring


@dataclass(frozen=True, slots=True)
class QdqReport:
    """Counts of a graph; the two lists name what keeps an engine from fusing."""

    convolutions: int
    int8_convolutions: int
    """Those that read eight-bit activations and weights."""
    pairs: int
    """Q/DQ pairs on activations."""
    float_boundaries: int
    """Activations that change between eight bits and float outside of a fused kernel: made in
    float and quantised, or dequantised for a reader that computes in float."""
    unfused: tuple[str, ...]
    """Pairs between a convolution and its activation, before DepthToSpace, or on both inputs of
    an Add, by the tensor that they quantise."""

    def line(self) -> str:
        """One line for people."""
        return (
            f"{self.int8_convolutions} of {self.convolutions} convolutions in int8, "
            f"{self.pairs} Q/DQ pairs, {self.float_boundaries} float boundaries"
        )


def report_qdq(model: onnx.ModelProto) -> QdqReport:
    """Count the pairs of a graph over fp32 or fp16, and find those that stand in the way."""
    wiring = Wiring(model)
    pairs = {}
    for node in wiring.nodes:
        if node.op_type == "QuantizeLinear":
            readers = [wiring.nodes[index] for index in wiring.readers[node.output[0]]]
            pairs[node.input[0]] = [reader.output[0] for reader in readers]
    behind = {name: tensor for tensor, names in pairs.items() for name in names}
    convolutions = [node for node in wiring.nodes if node.op_type == "Conv"]
    boundaries = set()
    unfused = []
    for tensor, names in pairs.items():
        readers = [wiring.nodes[index] for name in names for index in wiring.readers[name]]
        maker = wiring.maker(tensor)
        if not _made_in_int8(tensor, wiring, behind) or not all(
            _reads_int8(reader, wiring, behind) for reader in readers
        ):
            boundaries.add(tensor)
        between = maker is not None and maker.op_type == "Conv"
        if any(
            (between and reader.op_type in ACTIVATIONS)
            or reader.op_type == "DepthToSpace"
            or (reader.op_type == "Add" and all(name in behind for name in reader.input))
            for reader in readers
        ):
            unfused.append(tensor)
    return QdqReport(
        len(convolutions),
        sum(_reads_int8(node, wiring, behind) for node in convolutions),
        len(pairs),
        len(boundaries),
        tuple(unfused),
    )


def _reads_int8(node: onnx.NodeProto, wiring: Wiring, behind: dict[str, str]) -> bool:
    """Whether a node computes on eight bits, or takes them into a kernel that does."""
    if node.op_type == "Conv":
        weight = wiring.maker(node.input[1])
        return node.input[0] in behind and weight is not None
    if node.op_type in JOINS:
        return all(name in behind for _, name in wiring.images(node))
    if node.op_type == "Add":
        # Added in the kernel of the convolution that its other input comes from.
        bare = [name for name in node.input if name not in behind]
        return len(bare) == 1 and _made_in_int8(bare[0], wiring, behind)
    return False


def _made_in_int8(tensor: str, wiring: Wiring, behind: dict[str, str]) -> bool:
    """Whether a kernel on eight bits makes a tensor, activation and residual Add included."""
    node = wiring.maker(tensor)
    while node is not None and node.op_type in ACTIVATIONS:
        node = wiring.maker(node.input[0])
    return node is not None and _reads_int8(node, wiring, behind)
