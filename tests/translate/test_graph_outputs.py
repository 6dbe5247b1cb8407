"""Graphs reduced in their bytes, against the ONNX package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from ladle_rt.models.artifact import shipped_models
from ladle_rt.translate.graph_outputs import only_output


def info(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])


@pytest.mark.parametrize("path", shipped_models().values(), ids=lambda path: path.stem)
def test_a_graph_of_one_output_stays_as_it_is(path: Path) -> None:
    model = path.read_bytes()
    assert only_output(model, "rgb") == model


@pytest.mark.parametrize(("name", "kept"), [("rgb", [0, 1]), ("classes", [2])])
def test_what_only_other_outputs_need_is_left_out(
    tmp_path: Path, make_model: Callable[..., Path], name: str, kept: list[int]
) -> None:
    path = make_model(tmp_path / "m.onnx", classes=7)
    expected = onnx.load(str(path))
    graph = expected.graph
    nodes = [graph.node[index] for index in kept]
    outputs = [output for output in graph.output if output.name == name]
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    graph.output.extend(outputs)
    assert onnx.load_from_string(only_output(path.read_bytes(), name)) == expected


def test_what_branches_take_from_outside_is_needed() -> None:
    then = helper.make_graph([helper.make_node("Neg", ["a"], ["t"])], "then", [], [info("t")])
    other = helper.make_graph([helper.make_node("Neg", ["b"], ["e"])], "else", [], [info("e")])
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Abs", ["x"], ["b"]),
        helper.make_node("Exp", ["x"], ["unused"]),
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other),
    ]
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    graph = helper.make_graph(nodes, "g", [info("x"), condition], [info("unused"), info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    reduced = only_output(model.SerializeToString(), "y")
    assert [node.op_type for node in onnx.load_from_string(reduced).graph.node] == [
        "Relu",
        "Abs",
        "If",
    ]
    session = onnxruntime.InferenceSession(reduced, providers=["CPUExecutionProvider"])
    feed = {"x": np.array([-2, 3], np.float32)}
    assert session.run(None, {**feed, "c": np.array(True)})[0].tolist() == [-0.0, -3]
    assert session.run(None, {**feed, "c": np.array(False)})[0].tolist() == [-2, -3]
