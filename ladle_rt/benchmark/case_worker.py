"""One round of one case, in a process of its own.

The memory that a case needs is charged to nobody else, the time to the first frame starts where
the process does, and an engine that takes its process down leaves the others measured. Reads a
JSON request on standard input, writes a JSON answer on standard output.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil

from ladle_rt.benchmark.latency import (
    Limits,
    TimedNetwork,
    idle_latency,
    saturated,
    translate_all,
)
from ladle_rt.config import TranslateOptions
from ladle_rt.device import usable_cores
from ladle_rt.errors import LadleError, MissingDependencyError
from ladle_rt.frames import Frame
from ladle_rt.geometry import fit_box, pad, shrink
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.similarity import ssim
from ladle_rt.sources.synthetic import DriveOptions, SyntheticSource
from ladle_rt.thermal.normalization import normalize
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.select import load_network
from ladle_rt.translate.workers import CpuTranslator

FRAMES = 30
"""Frames of the sample that are repeated."""
DRIFT_FRAMES = 4
PICTURE = PictureSpec("yuv420p", even=True)


@dataclass(frozen=True, slots=True)
class CaseRequest:
    """What to measure."""

    model: str
    backend: str
    size: tuple[int, int]
    """Height and width of the network's box."""
    frame_size: tuple[int, int]
    """Height and width of the sample's frames."""
    limits: Limits
    """Of each measurement."""
    streams: tuple[int, ...]
    """Numbers of streams beside one whose throughput is measured."""
    reference: str | None
    """The fp32 model that drift is measured against; ``None``: drift is not measured."""
    started_s: float
    """When the process was started, `time.time` of the one that asks."""

    def to_json(self) -> str:
        """What the worker reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CaseRequest:
        """The reverse."""
        values = json.loads(text)
        for name in ("size", "frame_size", "streams"):
            values[name] = tuple(values[name])
        return cls(**{**values, "limits": Limits(**values["limits"])})


def measure_case(request: CaseRequest) -> dict[str, Any]:
    """Measure one round.

    Returns:
        JSON-ready: ``figures`` by name, ``stages_ms`` and ``samples_ms`` with every frame's times.

    Raises:
        MissingDependencyError: the engine is not installed.
        LadleError: the model or the engine cannot be used.
    """
    begin_s = time.perf_counter()
    artifact = load_artifact(request.model)
    translator, network = _translator(artifact, request, usable_cores())
    with translator:
        load_s = time.perf_counter() - begin_s
        height, width = request.frame_size
        sample = iter(SyntheticSource(DriveOptions(width, height, seconds=FRAMES / 30)))
        frames = [next(sample)]
        translate_all(translator, frames)
        first_frame_s = time.time() - request.started_s
        frames += sample
        stages = idle_latency(translator, network, frames, request.limits)
        busy = saturated(translator, frames, request.limits)
        rss_mb = psutil.Process().memory_info().rss / 2**20
    figures = {
        "fps": busy.fps,
        "cpu_ms": busy.cpu_ms,
        "first_frame_s": first_frame_s,
        "load_s": load_s,
        "rss_mb": rss_mb,
    }
    for streams in request.streams:
        figures[f"streams_{streams}_fps"] = _streams_fps(artifact, request, streams, frames)
    if request.reference is not None:
        figures |= _drift(load_artifact(request.reference), artifact, request, frames)
    return {
        "figures": figures,
        "samples_ms": {"idle": stages.pop("total"), "saturated": busy.latency_ms},
        "stages_ms": stages,
    }


def _translator(
    artifact: ModelArtifact, request: CaseRequest, workers: int
) -> tuple[CpuTranslator, TimedNetwork]:
    backend = request.backend
    network = TimedNetwork(load_network(artifact, backend, workers))
    options = TranslateOptions(backend=backend, threads=workers, size=request.size)
    return CpuTranslator(network, artifact.info, options, PICTURE, workers), network


def _streams_fps(
    artifact: ModelArtifact, request: CaseRequest, streams: int, frames: list[Frame]
) -> float:
    """Frames per second of several streams together, each with its share of the cores."""
    workers = max(1, usable_cores() // streams)
    rates = [0.0] * streams
    failures: list[BaseException] = []
    ready = threading.Barrier(streams)

    def stream(index: int) -> None:
        try:
            with _translator(artifact, request, workers)[0] as translator:
                translate_all(translator, frames[: translator.depth])
                ready.wait()
                rates[index] = saturated(translator, frames, request.limits).fps
        except BaseException as error:
            failures.append(error)
            ready.abort()

    threads = [threading.Thread(target=stream, args=(index,)) for index in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(rates)


def _drift(
    reference: ModelArtifact, artifact: ModelArtifact, request: CaseRequest, frames: list[Frame]
) -> dict[str, float]:
    """How far the network's pictures are from those of fp32 in ONNX Runtime, RGB in [0,1]."""
    expected_of = load_network(reference, "onnxruntime").runner()
    received_of = load_network(artifact, request.backend).runner()
    fit = fit_box(*request.frame_size, request.size, artifact.info.size_multiple)
    worst, means, similarities = 0.0, [], []
    for frame in frames[:: max(1, len(frames) // DRIFT_FRAMES)]:
        thermal = pad(normalize(shrink(frame.pixels, fit), artifact.info.thermal), fit)
        batch = np.ascontiguousarray(thermal)[None, None]
        expected, received = (
            np.ascontiguousarray(run(batch)[0].transpose(1, 2, 0))
            for run in (expected_of, received_of)
        )
        error = np.abs(received - expected)
        worst = max(worst, float(error.max()))
        means.append(float(error.mean()))
        similarities.append(ssim(received, expected))
    return {
        "drift_max_abs": worst,
        "drift_mean_abs": float(np.mean(means)),
        "drift_ssim": float(np.mean(similarities)),
    }


def main() -> None:
    """Answer one request."""
    try:
        answer = measure_case(CaseRequest.from_json(sys.stdin.read()))
    except LadleError as error:
        status = "skipped" if isinstance(error, MissingDependencyError) else "failed"
        answer = {"status": status, "reason": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
