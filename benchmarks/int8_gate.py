"""What fp16 and INT8 cost in quality and win in time, on pairs that nothing was calibrated on.

    python benchmarks/int8_gate.py --calibration DIR --data PAIRS [--split val]
        [--sensitivity 20] [--output benchmarks/results/int8_gate.json]

Every graph is judged with its Q/DQ pairs as they are written, and INT8 also as the integer kernels
of each CPU engine compute it. Times are of one frame on one thread, engines taking turns. The
trivial baselines of the same pairs are those of `ladle-rt evaluate`.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from helpers import Spread, write_result

from ladle_rt.datasets import find_pairs
from ladle_rt.engines.calibration.calibration_set import CalibrationSet
from ladle_rt.engines.gate import Gate, GateReport
from ladle_rt.engines.precision.fp32 import fp32_artifact
from ladle_rt.engines.precision.placement import quantizable_nodes
from ladle_rt.engines.precision.qdq_report import report_qdq
from ladle_rt.engines.select_precision import measure_sensitivity, select_precision
from ladle_rt.errors import BackendError, MissingDependencyError
from ladle_rt.evaluation.pair_images import read_pair_images
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelArtifact
from ladle_rt.similarity import ssim
from ladle_rt.thermal.normalization import normalize
from ladle_rt.translate import load_network

ENGINES = ("onnxruntime", "openvino")


def row(name: str, report: GateReport, fp32_ssim: float) -> dict[str, Any]:
    """Print a line of the table and return what is recorded."""
    task = fp32_ssim - (report.task_ssim_loss or 0)
    verdict = "passes" if report.passed else "; ".join(report.failures)
    print(
        f"{name:24s} SSIM to fp32 {report.ssim_mean:.4f} worst {report.ssim_worst:.4f}  "
        f"PSNR {report.psnr_db:5.1f}  luminance {report.luminance_drift:+6.2f}  "
        f"SSIM to truth {task:.4f}  {verdict}"
    )
    facts = {key: value for key, value in asdict(report).items() if key != "failures"}
    if math.isinf(report.psnr_db):
        facts["psnr_db"] = None  # equal pictures; JSON has no infinity
    return {**facts, "ssim_to_truth": task, "failures": list(report.failures)}


def time_engines(
    graphs: dict[str, ModelArtifact], usable: set[str], runs: int
) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of one frame on one thread, and their ratio to ONNX Runtime's fp32."""
    height, width = next(iter(graphs.values())).info.train_size
    thermal = np.random.default_rng(0).random((1, 1, height, width), dtype=np.float32)
    calls = {
        (precision, engine): load_network(graph, engine).runner()
        for precision, graph in graphs.items()
        for engine in installed()
        if precision == "fp32" or engine in usable
    }
    times: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for turn in range(runs + 3):
        for key, call in calls.items():
            start = time.perf_counter()
            call(thermal)
            if turn >= 3:
                times[key].append((time.perf_counter() - start) * 1e3)
    first = times["fp32", "onnxruntime"]
    results = {}
    for (precision, engine), values in times.items():
        ratios = Spread.of([value / other for value, other in zip(values, first, strict=True)])
        spread = Spread.of(values)
        name = f"{precision}, {engine}"
        results[name] = {"ms": spread.to_list(), "ratio": ratios.to_list()}
        print(f"{name:24s} {spread.median:6.1f} ms, {ratios.median:.2f} of fp32 on onnxruntime")
    return results


def installed() -> list[Any]:
    """CPU engines at hand."""
    found = []
    for engine in ENGINES:
        try:
            __import__(engine)
        except ImportError:
            continue
        found.append(engine)
    return found


def main() -> None:
    """Measure, print tables, record JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split")
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--sensitivity", type=int, default=0, help="rows of that table")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = fp32_artifact(arguments.model, folder)
        graphs = {"fp32": source}
        for precision in ("fp16", "int8"):
            prepared = select_precision(
                source.onnx_path, precision, arguments.calibration, folder, print
            )
            print(f"{precision}: {prepared.reason}")
            graphs[prepared.precision] = prepared.artifact
        pairs = [
            read_pair_images(pair) for pair in find_pairs(arguments.data, split=arguments.split)
        ]
        frames = [normalize(one.thermal, source.info.thermal)[None, None] for one in pairs]
        truths = [one.truths["none"] for one in pairs]
        model = onnx.load(str(source.onnx_path))
        gate = Gate(model, frames, truths)
        own = float(np.mean([ssim(*pair) for pair in zip(gate.expected, truths, strict=True)]))
        for precision, graph in graphs.items():
            for_discriminator = gate.check(onnx.load(str(graph.onnx_path)))
            results[precision] = row(precision, for_discriminator, own)
            if precision == "int8":
                pairs_report = report_qdq(onnx.load(str(graph.onnx_path)))
                print(pairs_report.line())
                results["graph"] = asdict(pairs_report)
        usable: set[str] = set()
        for engine in installed():
            if "int8" not in graphs:
                break
            try:
                run = load_network(graphs["int8"], engine).runner()
            except (MissingDependencyError, BackendError) as error:
                print(error)
                continue
            usable.add(engine)
            received = [run(frame)[0].transpose(1, 2, 0).copy() for frame in frames]
            results[f"int8, {engine}"] = row(f"int8, {engine}", gate.compare(received), own)
        timed = {key: graph for key, graph in graphs.items() if key != "fp16"}
        results["times"] = time_engines(timed, usable, arguments.runs)
        if arguments.sensitivity:
            ranges = CalibrationSet.read(arguments.calibration).ranges
            table = measure_sensitivity(model, ranges, gate, quantizable_nodes(model))
            results["sensitivity"] = []
            for node, report in table[: arguments.sensitivity]:
                print(f"{node:32s} {report.line()}")
                results["sensitivity"].append(
                    {"node": node, "psnr_db": report.psnr_db, "ssim_mean": report.ssim_mean}
                )
    if arguments.output:
        settings = {
            "model": source.info.name,
            "pairs": len(frames),
            "split": arguments.split,
            "runs": arguments.runs,
        }
        write_result(arguments.output, "int8_gate", settings, results)


if __name__ == "__main__":
    main()
