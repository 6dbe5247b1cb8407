"""The builder's own account of a plan, without a GPU: what TensorRT-RTX makes of a graph."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.engines.plan.builder import build_plan
from ladle_rt.engines.plan.layers import BuildReport, parse_build_log
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.engines.precision.channels import simplify
from ladle_rt.engines.precision.half import to_half
from ladle_rt.engines.precision.quantize import quantizable_tensors, quantize
from ladle_rt.engines.precision.write import write_derived
from ladle_rt.errors import BackendError
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact, shipped_models

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
RECORD = json.loads((RESULTS / "plan_builds.json").read_text(encoding="utf-8"))
ROWS = RECORD["results"]
SIZE = (192, 256)
IMAGE = "Dimensions: [1,4,2,2], Strides: [16,4,2,1], Datatype: "


def built(rtx: TensorRT, graph: onnx.ModelProto, precision: str, folder: Path) -> BuildReport:
    source = load_artifact()
    made = write_derived(source, graph, folder / f"{precision}.onnx", {"precision": precision})
    settings = BuildSettings(sizes=(SIZE,), targets=("sm89",))
    log = folder / f"{precision}.log"
    build_plan(made, settings, rtx, log=log)
    return parse_build_log(log.read_text(encoding="utf-8"))


def layer(kind: str, read: str, written: str) -> str:
    return (
        f"Name: {kind}_0, LayerType: {kind}, Inputs: [ {{ Name: a, {IMAGE}{read}, Format: x }}], "
        f"Constants: [ {{ Name: w, {IMAGE}Int64, Format: x }}], "
        f"Outputs: [ {{ Name: b, {IMAGE}{written}, Format: x }}], TacticName: t, StreamId: 0\n"
    )


def test_kernels_types_and_bytes_are_counted() -> None:
    wait = "Name: w, LayerType: wait, Inputs: [], Constants: [], Outputs: [], TacticName: , E: 1\n"
    report = parse_build_log(
        "VERBOSE: Layers:\n" + layer("kgen", "Float", "Half") + wait + layer("conv", "Half", "Int8")
    )
    assert report == BuildReport(2, {"Half": 1, "Int8": 1}, 16 * (4 + 2 + 2 + 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("INFO: nothing was built", "received no layers"),
        (layer("kgen", "Float", "Half").replace("[1,4,2,2]", "[1,4,-1,2]"), "one fixed size"),
        (layer("kgen", "Float", "Exotic"), "received a tensor Exotic"),
    ],
)
def test_other_logs_are_refused(text: str, words: str) -> None:
    with pytest.raises(BackendError, match=words):
        parse_build_log(text)


def test_the_record_is_of_every_model_that_ships_and_half_is_half_in_it() -> None:
    assert set(shipped_models()) <= set(ROWS)
    for name, row in ROWS.items():
        assert "error" not in str(row), name
        assert set(row["fp16"]["outputs"]) == {"Half"}, name
        assert row["fp16"]["kernels"] < row["int8"]["kernels"], "this TensorRT does not fuse INT8"


def test_half_precision_is_half_in_every_kernel(rtx: TensorRT, tmp_path: Path) -> None:
    """The gate of fp16: kernels, types and bytes of the shipped model on one card."""
    graph = onnx.load(str(load_artifact().onnx_path))
    simplify(graph)
    report = built(rtx, to_half(graph, keep_io=False), "fp16", tmp_path)
    assert set(report.outputs) == {"Half"}, "the picture too"
    assert report.kernels <= 105 and report.activation_bytes <= 54e6
    if rtx.label == RECORD["settings"]["tensorrt"]:
        assert report.facts().items() <= ROWS[DEFAULT_MODEL]["fp16"].items(), "plan_builds.py again"


@pytest.mark.slow
def test_int8_is_not_fused_by_this_tensorrt(rtx: TensorRT, tmp_path: Path) -> None:
    """What `TensorRT.fuses_int8` says of it; a version that fuses ends the exception."""
    graph = onnx.load(str(load_artifact().onnx_path))
    ranges = dict.fromkeys(quantizable_tensors(graph), 4.0)
    half = built(rtx, to_half(graph), "fp16", tmp_path)
    int8 = built(rtx, quantize(graph, ranges, base="fp16"), "int8", tmp_path)
    assert (int8.kernels <= 1.1 * half.kernels) == rtx.fuses_int8, (half, int8)
