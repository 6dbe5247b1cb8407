"""Graphs of every precision really built by TensorRT-RTX for three generations of cards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.engines.plan.builder import build_plan
from ladle_rt.engines.plan.cache import get_or_build, inspect_plan
from ladle_rt.engines.plan.ensure_plan import wanted_manifest
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.models.artifact import ModelArtifact, file_sha256, load_artifact

TARGETS = ("sm86", "sm89", "sm120")


def half(graph: onnx.GraphProto) -> None:
    """The tiny network in FP16 between casts."""
    for entry in graph.initializer:
        entry.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(entry).astype(np.float16), entry.name)
        )
    conv, last = graph.node
    conv.input[0], last.output[0] = "half_in", "half_out"
    inward = helper.make_node("Cast", ["thermal"], ["half_in"], to=TensorProto.FLOAT16)
    outward = helper.make_node("Cast", ["half_out"], ["rgb"], to=TensorProto.FLOAT)
    nodes = [inward, conv, last, outward]
    del graph.node[:]
    graph.node.extend(nodes)


def quantized(graph: onnx.GraphProto) -> None:
    """The tiny network with explicit Q/DQ at the convolution's input and weights."""
    conv, last = graph.node
    nodes = []
    for index, (name, scales) in enumerate([("thermal", 1 / 127), ("weight", [0.01, 0.01, 0.01])]):
        scale = np.asarray(scales, np.float32)
        zero = np.zeros(scale.shape, np.int8)
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        graph.initializer.append(numpy_helper.from_array(zero, f"{name}_zero"))
        more = [f"{name}_scale", f"{name}_zero"]
        axis = {"axis": 0} if scale.shape else {}
        nodes += [
            helper.make_node("QuantizeLinear", [name, *more], [f"{name}_q"], **axis),
            helper.make_node("DequantizeLinear", [f"{name}_q", *more], [f"{name}_dq"], **axis),
        ]
        conv.input[index] = f"{name}_dq"
    nodes += [conv, last]
    del graph.node[:]
    graph.node.extend(nodes)


def derive(
    source: ModelArtifact, path: Path, precision: str, model: onnx.ModelProto
) -> ModelArtifact:
    onnx.checker.check_model(model)
    onnx.save(model, path)
    derivation = {"precision": precision, "calibration_sha256": "c" * 64}
    info = replace(source.info, derivation=derivation, onnx_sha256=file_sha256(path))
    return ModelArtifact(path, info)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("precision", "change"), [("fp16", half), ("int8", quantized)])
def test_typed_graphs_build(
    rtx: TensorRT,
    tiny_model: Path,
    tmp_path: Path,
    precision: str,
    change: Callable[[onnx.GraphProto], None],
    target: str,
) -> None:
    source = load_artifact(tiny_model)
    model = onnx.load(source.onnx_path)
    change(model.graph)
    artifact = derive(source, tmp_path / "m.onnx", precision, model)
    settings = BuildSettings(((64, 96),), targets=(target,), optimization_level=0)
    device = {"targets": [target]}
    plan = get_or_build(
        tmp_path / "engines",
        wanted_manifest(artifact, settings, rtx, device),
        rtx.label,
        lambda: build_plan(artifact, settings, rtx),
        lambda line: None,
    )
    assert plan.path.name.startswith(f"tiny-{precision}-{target}-rtx")
    assert inspect_plan(plan.path).problem is None
    assert plan.manifest.precision == precision
    assert plan.manifest.calibration_sha256 == "c" * 64
    assert plan.manifest.profiles == [[[1, 1, 64, 96]] * 3]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_shipped_model_builds(
    rtx: TensorRT, tmp_path: Path, precision: str, target: str
) -> None:
    """As the package itself makes the graphs. The ranges matter to pictures, not to building."""
    source = load_artifact()
    model = onnx.load(source.onnx_path)
    if precision == "fp16":
        to_half = pytest.importorskip("ladle_rt.engines.precision.half").to_half
        derived = to_half(model)
    else:
        quantize = pytest.importorskip("ladle_rt.engines.precision.quantize").quantize
        names = [entry.name for entry in model.graph.input]
        names += [name for node in model.graph.node for name in node.output]
        derived = quantize(model, dict.fromkeys(names, 4.0))
    artifact = derive(source, tmp_path / "m.onnx", precision, derived)
    settings = BuildSettings(targets=(target,), optimization_level=0)
    assert len(build_plan(artifact, settings, rtx).plan) > 100_000
