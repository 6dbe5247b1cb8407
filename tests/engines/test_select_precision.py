"""From a model's name to the graph of a precision, with the gate in between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from ladle_rt.engines.calibration.calibrate import CalibrationJob, calibrate
from ladle_rt.engines.calibration.calibration_set import CalibrationSet
from ladle_rt.engines.export_precision import ExportSettings, export_precision
from ladle_rt.engines.gate import GateLimits
from ladle_rt.engines.precision.quantize import quantizable_tensors
from ladle_rt.engines.select_precision import select_precision
from ladle_rt.errors import ConfigError, LadleError, OutputError
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
from ladle_rt.pipeline.sample import write_sample
from ladle_rt.sources.synthetic_source import DriveOptions

ANYTHING = GateLimits(ssim_mean=0, ssim_worst=0, luminance_drift=255, task_ssim_loss=1)
NOTHING = GateLimits(ssim_mean=1, ssim_worst=1, luminance_drift=1e-9, task_ssim_loss=1e-9)


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set from the synthetic drive: real code, too few and too easy frames."""
    folder = tmp_path_factory.mktemp("calibration")
    write_sample(folder / "t.mp4", DriveOptions(rate=4, seconds=6))
    job = CalibrationJob((folder / "t.mp4",), folder / "set", frames=8)
    return calibrate(load_artifact(), job).folder


def test_fp32_and_fp16_need_no_calibration(tmp_path: Path) -> None:
    said: list[str] = []
    source = load_artifact()
    assert (
        select_precision(source.info.name, "fp32", None, tmp_path, said.append).artifact == source
    )
    half = select_precision(source.info.name, "fp16", None, tmp_path, said.append)
    assert (half.precision, half.artifact.info.precision) == ("fp16", "fp16")
    assert half.artifact.info.derivation["from_sha256"] == source.info.onnx_sha256
    again = select_precision(source.info.name, "auto", None, tmp_path, said.append)
    assert again.artifact == half.artifact and "no calibration set" in again.reason


def test_halves_at_both_ends_of_fp16(tmp_path: Path) -> None:
    """Another file than with float32 there, so that neither is taken for the other."""
    name = load_artifact().info.name
    plain, whole = (
        select_precision(name, "fp16", None, tmp_path, print, border=border).artifact
        for border in ("float32", "float16")
    )
    assert plain.onnx_path != whole.onnx_path
    for artifact, element in ((plain, TensorProto.FLOAT), (whole, TensorProto.FLOAT16)):
        graph = onnx.load(artifact.onnx_path).graph
        ends = [*graph.input, *graph.output]
        assert {end.type.tensor_type.elem_type for end in ends} == {element}
    assert whole.info.derivation["io"] == "float16"
    assert plain.info.derivation["io"] == "float32"


def test_int8_that_passes_is_kept_and_found_again(tmp_path: Path, calibration: Path) -> None:
    said: list[str] = []
    name = load_artifact().info.name
    made = select_precision(name, "auto", calibration, tmp_path, said.append, ANYTHING)
    assert made.precision == "int8" and made.gate is not None and made.gate.passed
    facts = made.artifact.info.derivation
    assert facts["calibration_sha256"] == CalibrationSet.read(calibration).sha256
    assert facts["float_nodes"] == []
    graph = onnx.load(str(load_artifact().onnx_path))
    ranges = CalibrationSet.read(calibration).ranges
    assert set(ranges) == set(quantizable_tensors(graph)) and min(ranges.values()) > 0
    said.clear()
    again = select_precision(name, "int8", calibration, tmp_path, said.append, ANYTHING)
    assert again.artifact == made.artifact and "before" in again.reason and not said
    # The gate that it passed was another one.
    stricter = GateLimits(ssim_mean=0.01, ssim_worst=0, luminance_drift=255, task_ssim_loss=1)
    select_precision(name, "int8", calibration, tmp_path, said.append, stricter)
    assert said


def test_int8_over_fp16_passes_the_same_gate(tmp_path: Path, calibration: Path) -> None:
    name = load_artifact().info.name
    made = select_precision(name, "int8", calibration, tmp_path, print, ANYTHING, base="fp16")
    plain = select_precision(name, "int8", calibration, tmp_path, print, ANYTHING)
    assert made.artifact.info.derivation["base"] == "fp16" and made.gate == plain.gate
    for one, kind in ((made, onnx.TensorProto.FLOAT16), (plain, onnx.TensorProto.FLOAT)):
        graph = onnx.load(str(one.artifact.onnx_path)).graph
        scales = {node.input[1] for node in graph.node if node.op_type == "QuantizeLinear"}
        assert {item.data_type for item in graph.initializer if item.name in scales} == {kind}


def test_int8_that_never_passes_is_fp16_with_the_reason(
    tmp_path: Path, calibration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ladle_rt.engines.select_precision.FLOAT_SHARE", 0)
    monkeypatch.setattr("ladle_rt.engines.select_precision.measure_sensitivity", lambda *_: ())
    said: list[str] = []
    made = select_precision(DEFAULT_MODEL, "int8", calibration, tmp_path, said.append, NOTHING)
    assert made.precision == "fp16" and made.artifact.info.precision == "fp16"
    assert made.reason.startswith("int8 failed the gate: mean SSIM")
    assert made.gate is not None and not made.gate.passed and made.reason in said


def test_the_search_leaves_what_breaks_in_float(
    tmp_path: Path, calibration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One convolution is given a range that ruins it; the search has to find that one."""
    from ladle_rt.engines.gate import Gate
    from ladle_rt.engines.precision.quantize import quantizable_nodes
    from ladle_rt.engines.select_precision import search

    source = load_artifact()
    model = onnx.load(str(source.onnx_path))
    found = CalibrationSet.read(calibration)
    names = {node.name: node for node in model.graph.node}
    ruined = quantizable_nodes(model)[-1]
    ranges = {**found.ranges, names[ruined].input[0]: 1e3}
    alone = (*quantizable_nodes(model)[:2], ruined)
    monkeypatch.setattr("ladle_rt.engines.select_precision.quantizable_nodes", lambda _: alone)
    gate = Gate(
        model,
        found.held_out_inputs(source.info)[:2],
        limits=GateLimits(ssim_mean=0.8, ssim_worst=0.7, luminance_drift=10),
    )
    said: list[str] = []
    result = search(model, ranges, gate, said.append)
    assert result.report.passed and result.float_nodes == (ruined,)
    assert result.sensitivity[0][0] == ruined
    assert any(f"{ruined} quantised alone" in line for line in said)


def test_another_models_calibration_is_refused(tmp_path: Path, calibration: Path) -> None:
    with pytest.raises(ConfigError, match=rf"made for {DEFAULT_MODEL} .*received ladle"):
        select_precision("ladlenet-compact", "int8", calibration, tmp_path, print)
    assert not list(tmp_path.iterdir())


def test_int8_without_calibration_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ladle-rt calibrate"):
        select_precision("ladlenet-compact", "int8", None, tmp_path, print)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        select_precision("ladlenet-compact", "fp16", None, tmp_path / "file" / "graphs", print)


class TestDerive:
    """`ladle-rt export` without torch."""

    @pytest.mark.parametrize("precision", ["fp32", "fp16"])
    def test_written_where_it_was_asked_for(self, tmp_path: Path, precision: str) -> None:
        wanted = ExportSettings(precision)  # type: ignore[arg-type]
        made, told = export_precision("ladlenet-compact", wanted, tmp_path / "m.onnx")
        assert load_artifact(tmp_path / "m.onnx").info == made.info
        assert made.info.precision == precision and ("PSNR" in told) == (precision == "fp16")

    def test_int8_tells_what_it_costs(self, tmp_path: Path, calibration: Path) -> None:
        wanted = ExportSettings("int8", calibration, base="fp16", border="float16")
        made, told = export_precision(DEFAULT_MODEL, wanted, tmp_path / "m.onnx")
        assert "SSIM to fp32 0.9" in told
        assert made.info.derivation["io"] == "float16" and made.info.derivation["base"] == "fp16"

    def test_a_float16_border_needs_fp16_behind_it(self) -> None:
        with pytest.raises(ConfigError, match="a float16 border needs"):
            ExportSettings("fp32", border="float16")

    def test_nothing_is_left_of_a_refusal(self, tmp_path: Path) -> None:
        with pytest.raises(LadleError):
            export_precision("no-such-model", ExportSettings("fp16"), tmp_path / "m.onnx")
        assert not list(tmp_path.iterdir())

    def test_overflow_of_fp16_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "ladle_rt.engines.gate.psnr_db", lambda output, truth: float(np.float32(12))
        )
        with pytest.raises(LadleError, match="its values overflow, stay with fp32"):
            export_precision("ladlenet-compact", ExportSettings("fp16"), tmp_path / "m.onnx")
