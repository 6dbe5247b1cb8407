"""Folded and padded graphs paint the pictures of the ones they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ladle_rt.engines.precision.channels import simplify
from ladle_rt.models.artifact import load_artifact


def network(*extra_outputs: str, middle: int = 19, kernel: int = 1) -> onnx.ModelProto:
    """64 → ``middle`` → 8, resized, beside 4 channels and 2: 14 go into the last convolution."""
    rng = np.random.default_rng(0)
    nodes = []
    weights = [numpy_helper.from_array(np.float32([1, 1, 2, 2]), "twice")]

    def conv(source: str, name: str, shape: tuple[int, ...], **attributes: Any) -> None:
        for key, size in (("w", shape), ("b", shape[:1])):
            values = rng.standard_normal(size).astype(np.float32) / np.sqrt(np.prod(shape[1:]))
            weights.append(numpy_helper.from_array(values.astype(np.float32), f"{name}_{key}"))
        nodes.append(
            helper.make_node(
                "Conv", [source, f"{name}_w", f"{name}_b"], [name], name=name, **attributes
            )
        )

    conv("thermal", "wide", (64, 1, 3, 3), pads=[1] * 4, strides=[2, 2])
    nodes.append(helper.make_node("Relu", ["wide"], ["features"]))
    conv("features", "logits", (middle, 64, kernel, kernel), pads=[kernel // 2] * 4)
    conv("logits", "mixed", (8, middle, 1, 1))
    nodes.append(helper.make_node("Resize", ["mixed", "", "twice"], ["large"], mode="linear"))
    conv("thermal", "four", (4, 1, 1, 1))
    conv("thermal", "two", (2, 1, 1, 1))
    nodes.append(helper.make_node("LeakyRelu", ["two"], ["active"], alpha=0.1))
    nodes.append(helper.make_node("Concat", ["large", "four", "active"], ["joined"], axis=1))
    conv("joined", "raw", (3, 14, 3, 3), pads=[1] * 4)
    nodes.append(helper.make_node("Sigmoid", ["raw"], ["rgb"]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("thermal", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [*"nchw"])
            for name in ("rgb", *extra_outputs)
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 9
    return model


def run(model: onnx.ModelProto, shape: tuple[int, ...]) -> Any:
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    frame = np.random.default_rng(1).random(shape, dtype=np.float32)
    return session.run(["rgb"], {"thermal": frame})[0]


def widths(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Output and input channels of each convolution."""
    shapes = {item.name: tuple(item.dims) for item in model.graph.initializer}
    return {
        node.name: shapes[node.input[1]][:2] for node in model.graph.node if node.op_type == "Conv"
    }


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    simplify(result)
    return result


def test_a_linear_pair_becomes_one_and_channels_a_round_number() -> None:
    before = network()
    after = simplified(before)
    found = widths(after)
    assert "logits" not in found and found["mixed"][1] == 64
    assert found["raw"] == (3, 16)
    for shape in ((1, 1, 32, 48), (2, 1, 64, 32)):
        assert np.abs(run(before, shape) - run(after, shape)).max() < 1e-6
    assert widths(simplified(after)) == found, "nothing is left to do"


def test_padding_alone_is_exact() -> None:
    """Only channels that nothing reads are added: the same products are summed."""
    before = network("logits")
    after = simplified(before)
    assert widths(after)["raw"] == (3, 16)
    assert np.abs(run(before, (1, 1, 32, 48)) - run(after, (1, 1, 32, 48))).max() < 3e-7


def test_class_scores_stay_as_they_are() -> None:
    before = network("logits")
    found = widths(simplified(before))
    assert found["logits"] == (19, 64) and found["mixed"][1] == 19


@pytest.mark.parametrize(("middle", "kernel"), [(4, 1), (19, 3)])
def test_pairs_that_are_cheaper_apart_or_not_pointwise_stay(middle: int, kernel: int) -> None:
    assert "logits" in widths(simplified(network(middle=middle, kernel=kernel)))


def test_the_shipped_model_keeps_its_picture(tmp_path: Path) -> None:
    before = onnx.load(str(load_artifact().onnx_path))
    after = simplified(before)
    assert not [pair for pair in widths(after).values() if pair[1] % 8 and pair[1] > 8]
    for shape in ((1, 1, 192, 256), (2, 1, 64, 96)):
        assert np.abs(run(before, shape) - run(after, shape)).max() < 1e-6
