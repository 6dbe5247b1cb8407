"""One round of one case, in a process of its own.

The memory that a case needs is charged to nobody else, the time to the first frame starts where
the process does, and an engine that takes its process down leaves the others measured. Reads a
JSON request on standard input, writes a JSON answer on standard output.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import psutil

from ladle_rt.benchmark.latency import (
    LatencyLimits,
    TimedNetwork,
    idle_latency,
    saturated,
    translate_all,
)
from ladle_rt.benchmark.picture_quality import (
    against_truth,
    drift,
    kept,
    likeness,
    paint,
    quality_sample,
    shown,
    statistics,
    truth_frames,
)
from ladle_rt.benchmark.telemetry import TelemetrySampler
from ladle_rt.benchmark.telemetry_sources import open_sources
from ladle_rt.colour import Rgb
from ladle_rt.config import TranslateOptions
from ladle_rt.datasets import Pair
from ladle_rt.datasets.look import Look
from ladle_rt.device import usable_cores
from ladle_rt.errors import LadleError, MissingDependencyError
from ladle_rt.frames import Frame
from ladle_rt.geometry import fit_letterbox
from ladle_rt.models.artifact import load_artifact
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.translate.base import Translator
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.select import create_translator, load_network

FRAMES = 30
"""Frames of the sample that are repeated."""
FOR_ENCODERS, FOR_SCORES = PictureSpec("yuv420p", even=True), PictureSpec("rgb24", even=False)


@dataclass(frozen=True, slots=True)
class QualityRequest:
    """What to look at, once in a benchmark."""

    frames: int
    """Of the sample."""
    reference: str | None
    """The fp32 model that drift is measured against; ``None``: drift is not measured."""
    best: tuple[int, int]
    """Height and width of the largest box of the model."""
    cache: str
    """Folder for pictures of fp32, which several cases are compared with."""
    pairs: tuple[dict[str, str], ...] = ()
    """Pairs with truth: fields of `Pair`."""


@dataclass(frozen=True, slots=True)
class CaseRequest:
    """What to measure."""

    model: str
    backend: str
    device: str
    size: tuple[int, int]
    """Height and width of the network's box."""
    frame_size: tuple[int, int]
    """Height and width of the sample's frames."""
    limits: LatencyLimits
    """Of each measurement."""
    streams: tuple[int, ...]
    """Numbers of streams beside one whose throughput is measured."""
    quality: QualityRequest | None
    """``None``: speed alone."""
    plans: str | None
    """Folder of the TensorRT plan; ``None``: the engine needs none."""
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
        if values["quality"] is not None:
            quality = values["quality"]
            changed = {"best": tuple(quality["best"]), "pairs": tuple(quality["pairs"])}
            values["quality"] = QualityRequest(**{**quality, **changed})
        return cls(**{**values, "limits": LatencyLimits(**values["limits"])})


def measure_case(request: CaseRequest) -> dict[str, Any]:
    """Measure one round.

    Returns:
        JSON-ready: ``figures`` by name, ``stages_ms`` and ``samples_ms`` with every frame's
        times, ``telemetry``, ``quality`` with a value for each image, ``sample_jpeg``.

    Raises:
        MissingDependencyError: the engine is not installed.
        LadleError: the model or the engine cannot be used.
    """
    begin_s = time.perf_counter()
    translator, network = open_case(request, usable_cores())
    with translator:
        load_s = time.perf_counter() - begin_s
        height, width = request.frame_size
        sample = iter(SyntheticSource(DriveOptions(width, height, seconds=FRAMES / 30)))
        frames = [next(sample)]
        translate_all(translator, frames)
        first_frame_s = time.time() - request.started_s
        frames += sample
        stages = idle_latency(translator, network, frames, request.limits)
        with TelemetrySampler(open_sources(request.device)) as sampler:
            busy = saturated(translator, frames, request.limits)
        rss_mb = psutil.Process().memory_info().rss / 2**20
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    telemetry = sampler.summary()
    figures = {
        "fps": busy.fps,
        "cpu_ms": busy.cpu_ms,
        "first_frame_s": first_frame_s,
        "load_s": load_s,
        "rss_mb": rss_mb,
        "peak_rss_mb": peak_mb,
        **telemetry.figures,
    }
    if "power_w" in figures:
        figures["mj_per_frame"] = figures["power_w"] / busy.fps * 1e3
    for streams in request.streams:
        figures[f"streams_{streams}_fps"] = _streams_fps(request, streams, frames)
    quality, jpeg = _quality(request, request.quality) if request.quality else ({}, "")
    return {
        "figures": figures,
        "samples_ms": {"idle": stages.pop("total"), "saturated": busy.latency_ms},
        "stages_ms": stages,
        "telemetry": telemetry.to_dict(),
        "quality": quality,
        "sample_jpeg": jpeg,
    }


def open_case(
    request: CaseRequest,
    workers: int,
    picture: PictureSpec = FOR_ENCODERS,
    smoothing_s: float = 1.0,
) -> tuple[Translator, TimedNetwork | None]:
    """The translator of a case, and its network where that can be timed by itself.

    Args:
        request: which engine.
        workers: threads, on the CPU.
        picture: what the pictures are for.
        smoothing_s: of the thermal levels; 0 for stills.
    """
    artifact, backend = load_artifact(request.model), request.backend
    options = TranslateOptions(
        backend=backend,
        threads=workers,
        size=request.size,
        smoothing_s=smoothing_s,
        warm_start=False,
    )
    if request.plans is not None:
        options = replace(options, engines=Path(request.plans))
    if request.device == "cpu":
        network = TimedNetwork(load_network(artifact, backend, workers))
        return CpuTranslator(network, artifact.info, options, picture, workers), network
    multiple = artifact.info.size_multiple
    shape = fit_letterbox(*request.frame_size, request.size, multiple).padded
    return create_translator(artifact, options, picture, (shape,)), None


def _streams_fps(request: CaseRequest, streams: int, frames: list[Frame]) -> float:
    """Frames per second of several streams together, each with its share of the cores."""
    workers = max(1, usable_cores() // streams)
    rates = [0.0] * streams
    failures: list[BaseException] = []
    ready = threading.Barrier(streams)

    def stream(index: int) -> None:
        try:
            with open_case(request, workers)[0] as translator:
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
        # The others only say that the barrier broke.
        raise next(e for e in failures if not isinstance(e, threading.BrokenBarrierError))
    return sum(rates)


def _quality(request: CaseRequest, wanted: QualityRequest) -> tuple[dict[str, list[float]], str]:
    """A value of each figure for each image, and the first picture of the sample."""
    frames = quality_sample(request.frame_size, wanted.frames)
    pictures = _painted(request, frames)
    found = statistics(pictures)
    if wanted.reference is not None:
        fp32 = replace(
            request, model=wanted.reference, backend="onnxruntime", device="cpu", plans=None
        )
        at_best = replace(fp32, size=wanted.best)
        found |= drift(pictures, _kept(fp32, frames, wanted.cache))
        found |= likeness(pictures, _kept(at_best, frames, wanted.cache))
    if wanted.pairs:
        pairs = [pair_from_dict(values) for values in wanted.pairs]
        stills = truth_frames(pairs, request.frame_size)
        look = cast(Look, load_artifact(request.model).info.look)
        found |= against_truth(_painted(request, stills, smoothing_s=0), pairs, look)
    return found, shown(pictures[0])


def _painted(request: CaseRequest, frames: list[Frame], smoothing_s: float = 1.0) -> list[Rgb]:
    with open_case(request, usable_cores(), FOR_SCORES, smoothing_s)[0] as translator:
        return paint(translator, frames)


def _kept(fp32: CaseRequest, frames: list[Frame], cache: str) -> list[Rgb]:
    """Pictures of the fp32 model, painted by the first process that needs them."""
    sha256 = load_artifact(fp32.model).info.onnx_sha256
    height, width = fp32.size
    name = f"{sha256[:16]}-{width}x{height}-{len(frames)}.npy"
    return kept(Path(cache, name), lambda: _painted(fp32, frames))


def pair_to_dict(pair: Pair) -> dict[str, str]:
    """JSON-ready."""
    return {name: str(value) for name, value in asdict(pair).items()}


def pair_from_dict(values: dict[str, str]) -> Pair:
    """The reverse."""
    paths = {name: Path(values[name]) for name in ("thermal", "visible", "root")}
    return Pair(**{**values, **paths})  # type: ignore[arg-type]


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
