"""A model to a graph of a precision at a place of the user's choice: what ``export`` does.

The gate informs here and decides nothing: `ladle_rt.engines.select_precision` is what falls back.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from ladle_rt.config import Border
from ladle_rt.engines.calibration.calibration_set import MISSING, CalibrationSet
from ladle_rt.engines.gate import Gate
from ladle_rt.engines.precision.fp32 import fp32_artifact
from ladle_rt.engines.precision.half import to_half
from ladle_rt.engines.precision.quantize import quantize
from ladle_rt.engines.precision.write import check_target, write_derived
from ladle_rt.engines.select_precision import held_out_gate
from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.models.artifact import ModelArtifact

LEAST_PSNR_DB = 40.0
"""Of fp16 to fp32; the shipped model has 68."""


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Which graph is wanted."""

    precision: Literal["fp32", "fp16", "int8"]
    calibration: Path | None = None
    """Folder of `ladle-rt calibrate`; INT8 needs it."""
    base: Literal["fp32", "fp16"] = "fp32"
    """What INT8 leaves unquantised computes in."""
    border: Border = "float32"
    """Element type of input and output."""

    def __post_init__(self) -> None:
        if self.precision == "int8" and self.calibration is None:
            raise ConfigError(MISSING)
        if self.border == "float16" and "fp16" not in (self.precision, self.base):
            raise ConfigError(
                "a float16 border needs --precision fp16, or int8 with --int8-base fp16; "
                f"received {self.precision} over {self.base}"
            )


def export_precision(
    model: str | Path, wanted: ExportSettings, path: Path, overwrite: bool = False
) -> tuple[ModelArtifact, str]:
    """Write the graph and its JSON.

    Args:
        model: shipped name, ``.onnx`` of fp32 or ``.safetensors``.
        wanted: which graph.
        path: target, ending in ``.onnx``.
        overwrite: replace existing files.

    Returns:
        What was written, and how far it is from fp32 in words; empty where nothing was compared.

    Raises:
        OutputError: the target exists, has another suffix or cannot be written.
        ModelError: not a model, or one of lower precision.
        ConfigError: a calibration set of another model.
    """
    check_target(path, overwrite)
    with tempfile.TemporaryDirectory() as folder:
        source = fp32_artifact(model, Path(folder))
        graph = onnx.load(str(source.onnx_path))
        keep_io = wanted.border == "float32"
        facts: dict[str, Any] = {
            "precision": wanted.precision,
            "from_sha256": source.info.onnx_sha256,
            "io": wanted.border,
        }
        if wanted.precision == "fp32":
            return write_derived(source, graph, path, {}, overwrite), ""
        if wanted.precision == "fp16":
            half = to_half(graph, keep_io)
            difference = f"PSNR to fp32 {_on_a_ramp(graph, half, source):.0f} dB on a ramp"
            return write_derived(source, half, path, facts, overwrite), difference
        assert wanted.calibration is not None
        calibration = CalibrationSet.read(wanted.calibration)
        calibration.check_bound(source.info.onnx_sha256, source.info.name)
        quantised = quantize(graph, calibration.ranges, base=wanted.base, keep_io=keep_io)
        report = held_out_gate(graph, calibration, source.info).check(quantised)
        facts |= {"base": wanted.base, "calibration_sha256": calibration.sha256, "float_nodes": []}
        difference = (
            report.line() if report.passed else f"{report.line()}; {'; '.join(report.failures)}"
        )
        return write_derived(source, quantised, path, facts, overwrite), difference


def _on_a_ramp(reference: onnx.ModelProto, graph: onnx.ModelProto, source: ModelArtifact) -> float:
    """PSNR of one frame that needs no footage; fp16 has no ranges that real frames would test.

    Raises:
        ModelError: overflow of fp16.
    """
    height, width = source.info.train_size
    ramp = np.linspace(0, 1, width, dtype=np.float32)
    probe = np.broadcast_to(ramp, (1, 1, height, width)).copy()
    report = Gate(reference, [probe]).check(graph)
    if not report.psnr_db >= LEAST_PSNR_DB:
        raise ModelError(
            f"{source.onnx_path}: in fp16 its picture of a ramp is {report.psnr_db:.0f} dB from "
            f"fp32's, expected {LEAST_PSNR_DB:.0f} or more; its values overflow, stay with fp32"
        )
    return report.psnr_db
