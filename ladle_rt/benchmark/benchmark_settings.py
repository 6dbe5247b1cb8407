"""What a benchmark measures, and for how long."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ladle_rt.benchmark.latency import LatencyLimits
from ladle_rt.config import MIN_SIZE, Backend
from ladle_rt.datasets import Pair, read_pair
from ladle_rt.device import usable_cores
from ladle_rt.errors import ConfigError, DatasetError, require
from ladle_rt.evaluation.pair_selection import choose_pairs
from ladle_rt.models.artifact import DEFAULT_MODEL, file_sha256, shipped_models
from ladle_rt.similarity import MIN_SIDE

Precision = Literal["fp32", "fp16", "int8"]
Device = Literal["cpu", "cuda"]
FRAME_SIZE = (512, 640)
"""Height and width of the sample's frames."""
MOST_STREAMS = 4
FULL_LIMITS, QUICK_LIMITS = LatencyLimits(10.0, 300), LatencyLimits(0.6, 60)
FULL_FRAMES, QUICK_FRAMES = 24, 4
"""Frames of the sample that quality is measured on."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One way to run a model."""

    backend: Backend
    device: Device
    precisions: tuple[Precision, ...]
    """What it can run in, its usual one first."""
    takes_graph: bool = True
    """It runs a graph in that precision; others make their own from the fp32 model."""


ENGINES = (
    EngineSpec("onnxruntime", "cpu", ("fp32", "fp16", "int8")),
    EngineSpec("openvino", "cpu", ("fp32", "fp16", "int8")),
    EngineSpec("torch", "cpu", ("fp32",), takes_graph=False),
    EngineSpec("tensorrt", "cuda", ("fp16", "fp32", "int8"), takes_graph=False),
    EngineSpec("torch", "cuda", ("fp16",), takes_graph=False),
    EngineSpec("torch-tensorrt", "cuda", ("fp16",), takes_graph=False),
)
BACKENDS: tuple[str, ...] = tuple(dict.fromkeys(engine.backend for engine in ENGINES))
QUICK_BACKENDS = ("onnxruntime", "openvino", "tensorrt")
"""What runs translate with; torch is slow to start and to run on a CPU."""
PRECISIONS: tuple[str, ...] = ("fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class TruthData:
    """Pairs that pictures are compared with."""

    name: str
    """Of the folder."""
    pairs: tuple[Pair, ...]
    digest: str
    """Hex SHA-256 of the pairs' names and files: equal for the same pairs."""


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """What to measure, and for how long."""

    models: tuple[str, ...]
    """Shipped names or paths of ``.onnx`` files."""
    backends: tuple[str, ...] = BACKENDS
    precisions: tuple[str, ...] = ()
    """None: each engine's usual one where it is quick, else all."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Height and width of the network's box; none: what the qualities of each model mean."""
    quick: bool = False
    """Leaves out the quality ``best`` and unusual precisions."""
    rounds: int = 5
    """Cases take turns, so that a drifting machine slows all alike."""
    limits: LatencyLimits = FULL_LIMITS
    """Of each measurement in a round."""
    streams: tuple[int, ...] = tuple(range(2, min(usable_cores(), MOST_STREAMS) + 1))
    """Numbers of streams beside one."""
    quality_frames: int = FULL_FRAMES
    """Frames of the sample that quality is measured on."""
    truth: TruthData | None = None
    """What pictures are compared with; ``None``: nothing."""
    calibration: Path | None = None
    """Folder of `ladle-rt calibrate`; INT8 needs it."""
    frame_size: tuple[int, int] = field(default=FRAME_SIZE)
    """Height and width of the sample's frames."""

    def __post_init__(self) -> None:
        for what, given, known in (
            ("backend", self.backends, BACKENDS),
            ("precision", self.precisions, PRECISIONS),
        ):
            unknown = [name for name in given if name not in known]
            if unknown:
                raise ConfigError(
                    f"{what} must be one of {', '.join(known)}, received {unknown[0]!r}"
                )
        for name, least in (("rounds", self.rounds), ("quality_frames", self.quality_frames)):
            if least < 1:
                raise ConfigError(f"{name} must be at least 1, received {least}")
        for size in self.sizes:
            if min(size) < MIN_SIZE:
                raise ConfigError(
                    f"size must be at least {MIN_SIZE}x{MIN_SIZE}, received {size[1]}x{size[0]}"
                )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; no paths of data."""
        truth = self.truth
        return {
            "models": list(self.models),
            "backends": list(self.backends),
            "precisions": list(self.precisions),
            "quick": self.quick,
            "rounds": self.rounds,
            "seconds": self.limits.seconds,
            "frames": self.limits.frames,
            "streams": list(self.streams),
            "frame_size": list(self.frame_size),
            "quality_frames": self.quality_frames,
            "truth": truth
            and {"name": truth.name, "pairs": len(truth.pairs), "digest": truth.digest},
        }


def find_truth(data: Path, count: int) -> TruthData:
    """Pairs of a data set, evenly spaced.

    Args:
        data: folder of a data set, in any layout that `find_pairs` knows.
        count: at most so many.

    Raises:
        MissingDependencyError: the colour difference needs scikit-image.
        InputNotFoundError: no such folder.
        DatasetError: no pairs there, or images too small to compare.
        InputError: an image that does not decode.
    """
    require("skimage", "train")
    pairs = choose_pairs(data, subset=count).pairs
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(pair.name.encode())
        for path in (pair.thermal, pair.visible):
            digest.update(file_sha256(path).encode())
    height, width = read_pair(pairs[0])[0].shape
    if min(height, width) < MIN_SIDE:
        raise DatasetError(
            f"{data}: expected thermal images with sides of at least {MIN_SIDE}, which MS-SSIM "
            f"needs, received {width}x{height}"
        )
    return TruthData(data.resolve().name, tuple(pairs), digest.hexdigest())


def choose_settings(
    quick: bool,
    models: tuple[str, ...] = (),
    backends: tuple[str, ...] = (),
    precisions: tuple[str, ...] = (),
    sizes: tuple[tuple[int, int], ...] = (),
    rounds: int | None = None,
    seconds: float | None = None,
    streams: int | None = None,
    truth: TruthData | None = None,
    calibration: Path | None = None,
) -> BenchmarkSettings:
    """Settings of a quick benchmark, in under two minutes on two cores, or of a full one.

    Args:
        quick: the default model alone, few rounds, short.
        models: instead of the default model or of all shipped ones.
        backends: instead of `QUICK_BACKENDS` or of all.
        precisions: instead of the usual one of each engine, or of all.
        sizes: instead of what the qualities of each model mean.
        rounds: instead of 3 or 5.
        seconds: of each measurement, instead of 0.6 or 10.
        streams: most streams at once, instead of one for each core, at most 4.
        truth: pairs to compare pictures with.
        calibration: folder of a calibration set.
    """
    limits = QUICK_LIMITS if quick else FULL_LIMITS
    most = min(usable_cores(), MOST_STREAMS) if streams is None else streams
    return BenchmarkSettings(
        models or ((DEFAULT_MODEL,) if quick else tuple(shipped_models())),
        backends or (QUICK_BACKENDS if quick else BACKENDS),
        precisions,
        sizes,
        quick,
        rounds or (3 if quick else 5),
        limits if seconds is None else replace(limits, seconds=seconds),
        tuple(range(2, most + 1)),
        QUICK_FRAMES if quick else FULL_FRAMES,
        truth,
        calibration,
    )
