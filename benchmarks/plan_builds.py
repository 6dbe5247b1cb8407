"""Which presets TensorRT-RTX really builds, in which precision, for which cards; no GPU needed.

    python benchmarks/plan_builds.py --data THERMAL_IMAGES
        [--model ladlenet-plus-compact --model ladlenet-plus:paper ...]
        [--target sm86,sm89,sm120] [--output benchmarks/results/plan_builds.json]

The models that ship, and every preset with untrained weights: whether a graph builds depends on its
operators and precision, not on what it has learned. Ranges for INT8 come from a few real frames all
the same. The builder's own account of a plan for one size and card is recorded too: kernels,
element types, bytes of activations. Building says nothing about speed or quality on the card.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import onnx
import torch
from helpers import write_result

from ladle_rt.cuda.tensorrt_edition import TensorRT, find_tensorrt
from ladle_rt.engines.calibration.ranges import choose_ranges, measure_histograms
from ladle_rt.engines.export_onnx import export_onnx
from ladle_rt.engines.plan.builder import build_plan
from ladle_rt.engines.plan.layers import parse_build_log
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.engines.precision.half import to_half
from ladle_rt.engines.precision.quantize import quantize
from ladle_rt.engines.precision.write import write_derived
from ladle_rt.errors import BackendError
from ladle_rt.models.artifact import ModelArtifact, ModelInfo, load_artifact, shipped_models
from ladle_rt.models.registry import ARCHITECTURES, build, config_to_dict, preset_config
from ladle_rt.sources.still_images import list_images, read_still
from ladle_rt.thermal.normalization import ThermalNormalization, normalize

SIZE = (192, 256)
CALIBRATION_FRAMES = 8
REPORTED = "sm89"


def fp32(model: str, folder: Path) -> tuple[ModelArtifact, dict[str, Any]]:
    """A model that ships, or a preset exported with fresh weights; and what is to be recorded."""
    if model in shipped_models():
        shipped = load_artifact(model)
        return shipped, {"parameters": shipped.info.parameters}
    architecture, preset = model.split(":")
    torch.manual_seed(0)
    config = preset_config(architecture, preset)
    network = build(architecture, config).eval()
    info = ModelInfo(
        name=f"{architecture}-{preset}",
        architecture=architecture,
        config=config_to_dict(config),
        thermal=ThermalNormalization(),
        train_size=SIZE,
        size_multiple=config.size_multiple,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=0,
        training={},
        metrics={},
        onnx_sha256="",
    )
    exported = export_onnx(network, info, folder / f"{info.name}.onnx")
    return ModelArtifact(exported.onnx_path, exported.info), {
        "parameters": info.parameters,
        "max_abs_error_to_torch": exported.max_abs_error,
    }


def derive(source: ModelArtifact, frames: list[Any], folder: Path) -> dict[str, ModelArtifact]:
    """The graph in every precision."""
    model = onnx.load(str(source.onnx_path))
    ranges = choose_ranges(measure_histograms(source.onnx_path, frames), "minmax")
    graphs = {"fp16": to_half(model, keep_io=False), "int8": quantize(model, ranges, base="fp16")}
    made = {"fp32": source}
    for precision, graph in graphs.items():
        path = folder / f"{source.info.name}-{precision}.onnx"
        made[precision] = write_derived(source, graph, path, {"precision": precision})
    return made


def account(graph: ModelArtifact, target: str, tensorrt: TensorRT, folder: Path) -> dict[str, Any]:
    """What the builder says of the plan for one size and one card."""
    log = folder / f"{graph.onnx_path.stem}.log"
    build_plan(graph, BuildSettings(sizes=(SIZE,), targets=(target,)), tensorrt, log=log)
    return parse_build_log(log.read_text(encoding="utf-8")).facts()


def main() -> None:
    """Build, print a line each, record JSON where asked."""
    presets = [f"{name}:{one}" for name, kind in ARCHITECTURES.items() for one in kind.presets]
    every = [*shipped_models(), *presets]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of thermal images")
    parser.add_argument(
        "--model", action="append", choices=every, help="shipped, or architecture:preset"
    )
    parser.add_argument("--target", default="sm86,sm89,sm120")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    tensorrt = find_tensorrt("tensorrt-rtx")
    settings = BuildSettings(targets=tuple(arguments.target.split(",")))
    frames = []
    for path in list_images([arguments.data])[:CALIBRATION_FRAMES]:
        small: Any = cv2.resize(read_still(path), SIZE[::-1], interpolation=cv2.INTER_AREA)
        frames.append(normalize(small, ThermalNormalization())[None, None])
    facts = {"tensorrt": tensorrt.label, "targets": arguments.target, "size": list(SIZE)}
    results: dict[str, Any] = {}
    for model in arguments.model or every:
        with tempfile.TemporaryDirectory() as folder:
            source, row = fp32(model, Path(folder))
            for precision, graph in derive(source, frames, Path(folder)).items():
                try:
                    start = time.process_time()
                    built = build_plan(graph, settings, tensorrt)
                    row[precision] = {
                        "cpu_s": round(time.process_time() - start, 2),
                        "megabytes": round(len(built.plan) / 1e6, 2),
                    }
                    if precision != "fp32":
                        row[precision] |= account(graph, REPORTED, tensorrt, Path(folder))
                except BackendError as failure:
                    row[precision] = {"error": str(failure)}
                print(f"{model:28s} {precision}  {row[precision]}", flush=True)
            results[model] = row
        if arguments.output:
            write_result(arguments.output, "plan_builds", facts, results)
    if any("error" in row[kind] for row in results.values() for kind in ("fp32", "fp16", "int8")):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
