"""fp16 and INT8 graphs of the shipped model: rules, numbers, engines that take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from ladle_rt.engines.calibration.ranges import choose_ranges, measure_histograms
from ladle_rt.engines.gate import Gate, pictures
from ladle_rt.engines.precision.fp32 import fp32_artifact
from ladle_rt.engines.precision.half import to_half
from ladle_rt.engines.precision.placement import LEAST_CHANNELS, quantizable_nodes
from ladle_rt.engines.precision.qdq_report import report_qdq
from ladle_rt.engines.precision.quantize import quantizable_tensors, quantize
from ladle_rt.engines.precision.write import write_derived
from ladle_rt.errors import ConfigError, ModelError, OutputError
from ladle_rt.geometry import fit_letterbox, shrink
from ladle_rt.models.artifact import load_artifact
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.thermal.normalization import normalize
from ladle_rt.translate import load_network

ARTIFACT = load_artifact()


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load(str(ARTIFACT.onnx_path))


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Structured frames: a synthetic drive as the network sees it."""
    seen = []
    for frame in SyntheticSource(DriveOptions(width=320, height=240, rate=2, seconds=4)):
        small = shrink(frame.pixels, fit_letterbox(*frame.pixels.shape, (192, 256), 32))
        seen.append(normalize(small, ARTIFACT.info.thermal)[None, None])
    return seen


@pytest.fixture(scope="module")
def ranges(frames: list[np.ndarray]) -> dict[str, float]:
    return choose_ranges(measure_histograms(ARTIFACT.onnx_path, frames[::2]), "kl")


@pytest.fixture(scope="module")
def int8(model: onnx.ModelProto, ranges: dict[str, float]) -> onnx.ModelProto:
    return quantize(model, ranges)


def constants(graph: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {entry.name: numpy_helper.to_array(entry) for entry in graph.graph.initializer}


def test_the_fp32_graph_is_fit_for_all_that_follows(model: onnx.ModelProto) -> None:
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"BatchNormalization", "ConvTranspose", "Dropout"}
    assert model.opset_import[0].version == 20


def test_half_is_half_everywhere_between_the_borders(
    model: onnx.ModelProto, frames: list[np.ndarray]
) -> None:
    graph = to_half(model)
    assert graph.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    floats = {name for name, value in constants(graph).items() if value.dtype == np.float32}
    scales = {node.input[2] for node in graph.graph.node if node.op_type == "Resize"}
    assert floats <= scales
    report = Gate(model, frames[:3]).check(graph)
    assert report.psnr_db > 55 and report.passed
    bare = to_half(model, keep_io=False)
    for value in (bare.graph.input[0], bare.graph.output[0]):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT16
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT


def test_int8_keeps_the_rules_of_tensorrt(model: onnx.ModelProto, int8: onnx.ModelProto) -> None:
    values = constants(int8)
    makers = {output: node for node in int8.graph.node for output in node.output}
    pairs = [n for n in int8.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        zero = values[node.input[2]]
        assert zero.dtype == np.int8 and not zero.any()
        assert (values[node.input[1]] > 0).all()
    convolutions = {node.name: node for node in int8.graph.node if node.op_type == "Conv"}
    for name in quantizable_nodes(model):
        node = convolutions[name]
        weight = makers[node.input[1]]
        stored = values[weight.input[0]]
        assert weight.op_type == "DequantizeLinear" and stored.dtype == np.int8
        # Per output channel, and 7 bits: no 16-bit sum of two products overflows.
        assert values[weight.input[1]].shape == (stored.shape[0],)
        assert np.abs(stored.astype(int)).max() <= 64
        assert makers[node.input[0]].op_type == "DequantizeLinear"
        assert len(node.input) < 3 or values[node.input[2]].dtype == np.float32


def test_nothing_stands_between_what_an_engine_fuses(
    model: onnx.ModelProto, int8: onnx.ModelProto
) -> None:
    """The gate of the graph: an engine makes of it what the report counts."""
    report = report_qdq(int8)
    assert report.unfused == ()
    assert report.int8_convolutions == len(quantizable_nodes(model)) > report.convolutions // 2
    # Of the shipped model's 71: mostly at depthwise and narrow convolutions, which stay in float.
    assert report.float_boundaries <= 0.3 * report.pairs
    values = constants(int8)
    for node in int8.graph.node:
        if node.op_type == "Conv" and node.input[1] in values:
            depthwise = any(item.name == "group" and item.i > 1 for item in node.attribute)
            outputs, inputs = values[node.input[1]].shape[:2]
            narrow = min(outputs, inputs) < LEAST_CHANNELS or outputs % 8 or inputs % 8
            assert depthwise or narrow, node.name


def test_residual_adds_see_eight_bits_on_the_skip_alone(int8: onnx.ModelProto) -> None:
    makers = {output: node for node in int8.graph.node for output in node.output}
    seen = [
        [makers[name].op_type == "DequantizeLinear" for name in node.input]
        for node in int8.graph.node
        if node.op_type == "Add" and all(name in makers for name in node.input)
    ]
    assert sum(any(inputs) for inputs in seen) >= 14 and not any(all(inputs) for inputs in seen)


def test_int8_is_close_and_smaller(
    model: onnx.ModelProto, int8: onnx.ModelProto, frames: list[np.ndarray]
) -> None:
    report = Gate(model, frames[1::2]).check(int8)
    assert report.psnr_db > 30 and report.ssim_mean > 0.95
    assert len(int8.SerializeToString()) < 0.4 * len(model.SerializeToString())


def test_what_comes_before_the_convolutions_stays_in_float(
    model: onnx.ModelProto, int8: onnx.ModelProto
) -> None:
    nodes = list(model.graph.node)
    first = next(number for number, node in enumerate(nodes) if node.op_type == "Conv")
    early = {name for node in nodes[:first] for name in node.output} - {nodes[first].input[0]}
    assert any(node.op_type == "Add" for node in nodes[:first]), "it adds before it convolves"
    assert not early & set(quantizable_tensors(model))
    quantised = {node.input[0] for node in int8.graph.node if node.op_type == "QuantizeLinear"}
    assert not early & quantised
    # The first convolution reads few channels: it stays in float as well.
    assert nodes[first].input[0] not in quantised


def test_sizes_and_batches_stay_dynamic(
    model: onnx.ModelProto, int8: onnx.ModelProto, tmp_path: Path
) -> None:
    for precision, graph in (("fp16", to_half(model)), ("int8", int8)):
        path = tmp_path / f"{precision}.onnx"
        made = write_derived(ARTIFACT, graph, path, {"precision": precision})
        run = load_network(made, "onnxruntime").runner()
        assert run(np.zeros((2, 1, 64, 96), np.float32)).shape == (2, 3, 64, 96)
        assert load_artifact(path).info.precision == precision


def test_float_nodes_stay_as_they_are(model: onnx.ModelProto, ranges: dict[str, float]) -> None:
    kept = quantizable_nodes(model)[-2:]
    graph = quantize(model, ranges, float_nodes=kept)
    makers = {output: node for node in graph.graph.node for output in node.output}
    weights = {n.name: n.input[1] for n in graph.graph.node if n.op_type == "Conv"}
    suited = set(quantizable_nodes(model))
    assert {name for name in suited if weights[name] not in makers} == set(kept)
    assert report_qdq(graph).unfused == ()
    alone = quantize(model, ranges, float_nodes=quantizable_nodes(model))
    assert not any(node.op_type == "QuantizeLinear" for node in alone.graph.node)


def test_int8_over_fp16(
    model: onnx.ModelProto, ranges: dict[str, float], frames: list[np.ndarray]
) -> None:
    graph = quantize(model, ranges, base="fp16")
    scales = [constants(graph)[n.input[1]] for n in graph.graph.node if n.op_type[:8] == "Quantize"]
    assert {scale.dtype for scale in scales} == {np.dtype(np.float16)}
    assert Gate(model, frames[1:3]).check(graph).psnr_db > 30


def test_pairs_are_computed_as_written(int8: onnx.ModelProto, frames: list[np.ndarray]) -> None:
    """The gate's arithmetic is TensorRT's, not that of the integer kernels of this processor."""
    first, second = pictures(int8, frames[:1])[0], pictures(int8, frames[:1])[0]
    assert np.array_equal(first, second) and np.isfinite(first).all()


@pytest.mark.parametrize("value", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_ranges_that_mean_nothing_are_refused(
    model: onnx.ModelProto, ranges: dict[str, float], value: float | None
) -> None:
    name = quantizable_tensors(model)[5]
    bad = {key: span for key, span in ranges.items() if key != name}
    if value is not None:
        bad[name] = value
    with pytest.raises(ConfigError, match=f"1 are not, first '{name}'.*calibrate again"):
        quantize(model, bad)


def test_what_cannot_be_quantised_is_refused(
    model: onnx.ModelProto, int8: onnx.ModelProto, ranges: dict[str, float]
) -> None:
    with pytest.raises(ModelError, match="received one with Q/DQ pairs"):
        quantize(int8, ranges)
    with pytest.raises(ConfigError, match=r"quantizable .* received nowhere"):
        quantize(model, ranges, float_nodes=["nowhere"])


def test_only_fp32_is_a_start(int8: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    write_derived(ARTIFACT, int8, path, {"precision": "int8"})
    with pytest.raises(ModelError, match="expected an fp32 graph to start from, received int8"):
        fp32_artifact(path, tmp_path)
    with pytest.raises(OutputError, match="exists; choose another name or add --overwrite"):
        write_derived(ARTIFACT, int8, path, {"precision": "int8"})
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_openvino_agrees_or_is_refused(int8: onnx.ModelProto, tmp_path: Path) -> None:
    """A processor on which OpenVINO computes INT8 wrongly gets a line instead of a picture."""
    pytest.importorskip("openvino")
    from ladle_rt.errors import BackendError
    from ladle_rt.similarity import psnr_db

    made = write_derived(ARTIFACT, int8, tmp_path / "int8.onnx", {"precision": "int8"})
    probe = np.linspace(0, 1, 192 * 256, dtype=np.float32).reshape(1, 1, 192, 256)
    expected = load_network(made, "onnxruntime").runner()(probe)
    refusal = ""
    try:
        assert psnr_db(load_network(made, "openvino").runner()(probe), expected) > 30
    except BackendError as error:
        refusal = str(error)
    assert not refusal or "wrongly on this processor" in refusal
