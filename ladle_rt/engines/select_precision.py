"""The graph of a model in a precision: what every builder and engine is given.

INT8 has to pass the quality gate. Where it does not, the most sensitive convolutions stay in
floating point, twice as many each time, until it passes or the budget ends; then it is FP16, and
the reason is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import onnx

from ladle_rt.config import Border
from ladle_rt.engines.calibration.calibration_set import MISSING, CalibrationSet
from ladle_rt.engines.gate import Gate, GateLimits, GateReport, sensitivity
from ladle_rt.engines.precision.fp32 import fp32_artifact
from ladle_rt.engines.precision.half import to_half
from ladle_rt.engines.precision.placement import quantizable_nodes
from ladle_rt.engines.precision.qdq_report import report_qdq
from ladle_rt.engines.precision.quantize import quantize
from ladle_rt.engines.precision.write import write_derived
from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.models.artifact import ModelArtifact, ModelInfo, load_artifact

Precision = Literal["fp32", "fp16", "int8", "auto"]
Base = Literal["fp32", "fp16"]
Notify = Callable[[str], object]

SENSITIVITY_FRAMES = 4
"""Held-out frames that each convolution is tried on by itself."""
SENSITIVITY_ROWS = 8
"""Rows of the table that are told."""
FLOAT_SHARE = 0.5
"""Budget of the search: with more than this share of the convolutions in floating point, INT8 has
nothing left to win."""


@dataclass(frozen=True, slots=True)
class SelectedGraph:
    """A graph and why it is this one."""

    artifact: ModelArtifact
    precision: str
    """What it is; differs from what was asked for where INT8 failed the gate."""
    reason: str
    gate: GateReport | None
    """Of an INT8 graph, against fp32."""
    sensitivity: tuple[tuple[str, GateReport], ...] = ()
    """Each convolution quantised by itself, most sensitive first; empty where not needed."""


def select_precision(
    model: str | Path,
    precision: Precision,
    calibration: Path | None,
    folder: Path,
    notify: Notify,
    limits: GateLimits | None = None,
    base: Base = "fp32",
    border: Border = "float32",
) -> SelectedGraph:
    """Make or find the graph.

    Args:
        model: shipped name, ``.onnx`` of fp32 or ``.safetensors``.
        precision: ``auto`` is INT8 where a calibration set is given and it passes, else FP16.
        calibration: folder of `ladle-rt calibrate`, made for this very model.
        folder: where derived graphs are kept; made if missing.
        notify: gets one line about each decision.
        limits: of the quality gate.
        base: what INT8 leaves unquantised computes in. The gate looks at the graph over fp32 all
            the same: fp16 itself is far below its limits, and CPUs emulate fp16.
        border: of an FP16 graph; the others' input and output are float32.

    Raises:
        ConfigError: INT8 without a calibration set, or one of another model.
        ModelError: not a model, or already of lower precision.
        OutputError: the folder cannot be written.
    """
    if precision == "int8" and calibration is None:
        raise ConfigError(MISSING)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from error
    source = fp32_artifact(model, folder)
    if precision == "fp32":
        return SelectedGraph(source, "fp32", "as asked for", None)
    if precision == "fp16":
        return SelectedGraph(_half(source, folder, border), "fp16", "as asked for", None)
    if calibration is None:
        half = _half(source, folder, border)
        return SelectedGraph(half, "fp16", "no calibration set for int8 was given", None)
    found = CalibrationSet.read(calibration)
    return _int8(source, found, folder, notify, limits or GateLimits(), base, border)


def _half(source: ModelArtifact, folder: Path, border: Border) -> ModelArtifact:
    keep_io = border == "float32"
    kind = "fp16" if keep_io else "fp16-throughout"
    path = folder / f"{source.info.name}-{kind}-{source.info.onnx_sha256[:8]}.onnx"
    if path.is_file():
        return load_artifact(path)
    graph = to_half(onnx.load(str(source.onnx_path)), keep_io)
    derivation = {
        "precision": "fp16",
        "from_sha256": source.info.onnx_sha256,
        "io": border,
    }
    return write_derived(source, graph, path, derivation)


def _int8(
    source: ModelArtifact,
    calibration: CalibrationSet,
    folder: Path,
    notify: Notify,
    limits: GateLimits,
    base: Base,
    border: Border,
) -> SelectedGraph:
    calibration.check_bound(source.info.onnx_sha256, source.info.name)
    key = f"{source.info.onnx_sha256[:8]}-{calibration.sha256[:8]}"
    over = "" if base == "fp32" else f"-over-{base}"
    path = folder / f"{source.info.name}-int8{over}-{key}.onnx"
    if path.is_file():
        artifact = load_artifact(path)
        report = GateReport(**artifact.info.derivation["gate"], failures=())
        if asdict(limits) == artifact.info.derivation["limits"]:
            return SelectedGraph(
                artifact, "int8", f"passed the gate before: {report.line()}", report
            )
    model = onnx.load(str(source.onnx_path))
    gate = held_out_gate(model, calibration, source.info, limits)
    found = search(model, calibration.ranges, gate, notify)
    if not found.report.passed:
        reason = f"int8 failed the gate: {'; '.join(found.report.failures)}"
        notify(reason)
        half = _half(source, folder, border)
        return SelectedGraph(half, "fp16", reason, found.report, found.sensitivity)
    derivation = {
        "precision": "int8",
        "from_sha256": source.info.onnx_sha256,
        "calibration_sha256": calibration.sha256,
        "base": base,
        "io": "float32",
        "float_nodes": list(found.float_nodes),
        # It passed: there are no failures to keep.
        "gate": {key: value for key, value in asdict(found.report).items() if key != "failures"},
        "limits": asdict(limits),
    }
    graph = found.graph if base == "fp32" else to_half(found.graph)
    artifact = write_derived(source, graph, path, derivation, overwrite=True)
    reason = f"passed the gate: {found.report.line()}; {report_qdq(found.graph).line()}"
    return SelectedGraph(artifact, "int8", reason, found.report, found.sensitivity)


def held_out_gate(
    model: onnx.ModelProto,
    calibration: CalibrationSet,
    info: ModelInfo,
    limits: GateLimits | None = None,
) -> Gate:
    """The gate over the frames that a calibration set holds out, with truths where it has them."""
    frames, truths = calibration.held_out_inputs(info), calibration.held_out_truths(info)
    return Gate(model, frames, truths, limits)


@dataclass(frozen=True, slots=True)
class Found:
    """Where the search for a passing INT8 graph ended."""

    graph: onnx.ModelProto
    float_nodes: tuple[str, ...]
    report: GateReport
    sensitivity: tuple[tuple[str, GateReport], ...]


def search(
    model: onnx.ModelProto,
    ranges: dict[str, float],
    gate: Gate,
    notify: Notify,
) -> Found:
    """Quantise as much as passes the gate.

    Args:
        model: the fp32 graph.
        ranges: largest \\|x\\| to represent, by tensor.
        gate: decides.
        notify: gets a line about each try.

    Returns:
        The first graph that passes, or the last one tried.
    """
    nodes = quantizable_nodes(model)
    kept: tuple[str, ...] = ()
    table: tuple[tuple[str, GateReport], ...] = ()
    while True:
        graph = quantize(model, ranges, float_nodes=kept)
        report = gate.check(graph)
        notify(f"{report_qdq(graph).line()}: {report.line()}")
        if report.passed:
            return Found(graph, kept, report, table)
        if not table:
            notify(f"looking for the most sensitive of {len(nodes)} convolutions")
            table = measure_sensitivity(model, ranges, gate, nodes)
            for name, alone in table[:SENSITIVITY_ROWS]:
                notify(f"  {name} quantised alone: {alone.line()}")
        more = max(1, 2 * len(kept))
        if more > FLOAT_SHARE * len(nodes):
            return Found(graph, kept, report, table)
        kept = tuple(name for name, _ in table[:more])


def measure_sensitivity(
    model: onnx.ModelProto, ranges: dict[str, float], gate: Gate, nodes: Sequence[str]
) -> tuple[tuple[str, GateReport], ...]:
    """Quantise each convolution by itself; most sensitive first."""
    alone = (
        (name, quantize(model, ranges, float_nodes=[other for other in nodes if other != name]))
        for name in nodes
    )
    return tuple(sensitivity(gate, alone, SENSITIVITY_FRAMES))
