"""From thermal footage of any kind to a calibration set."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ladle_rt.datasets import find_pairs
from ladle_rt.datasets.images import SUFFIXES
from ladle_rt.datasets.layouts import recognise
from ladle_rt.engines.calibration.calibration_set import (
    CalibrationSet,
    check_folder,
    network_input,
    require_frames,
    write_set,
)
from ladle_rt.engines.calibration.ranges import Method, choose_ranges, measure_histograms
from ladle_rt.engines.calibration.selection import Candidate, choose
from ladle_rt.errors import (
    ConfigError,
    DatasetError,
    FalseColourError,
    InputError,
    InputNotFoundError,
)
from ladle_rt.frames import ThermalPixels
from ladle_rt.geometry import fit_box, shrink
from ladle_rt.models.artifact import ModelArtifact, ModelInfo, file_sha256
from ladle_rt.sources.images import list_images, read_still
from ladle_rt.sources.video import VideoSource

logger = logging.getLogger("ladle_rt")

LEAST_FRAMES = 16
"""Fewer say nothing about how values are distributed."""
OVERSAMPLING = 4
"""Frames that are read for each that is chosen: what there is to choose from."""
HELD_OUT_SHARE = 8
"""One frame is held out for the gate for so many that are calibrated on, within the bounds."""
HELD_OUT_BOUNDS = (8, 32)
UNREADABLE_SHARE = 0.1
"""More unreadable files than this share are an error, not a warning."""

Watch = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class CalibrationJob:
    """What to calibrate on, and where the set goes."""

    data: tuple[Path, ...]
    """Datasets, folders of thermal images, videos."""
    output: Path
    frames: int = 256
    method: Method = "kl"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.data:
            raise ConfigError("calibration needs thermal footage: add --data PATH")
        if self.frames < LEAST_FRAMES:
            raise ConfigError(f"n must be at least {LEAST_FRAMES}, received {self.frames}")


def calibrate(
    artifact: ModelArtifact, job: CalibrationJob, watch: Watch = lambda items: items
) -> CalibrationSet:
    """Choose frames, measure ranges, write the set.

    Args:
        artifact: fp32 model.
        job: what to do.
        watch: wraps the chosen frames while they are run, for a progress bar.

    Raises:
        ConfigError: fewer than `LEAST_FRAMES` frames.
        InputError: nothing thermal at a path, coloured images, too many that do not decode.
        OutputError: the folder is taken or cannot be written.
    """
    check_folder(job.output, job.overwrite)
    held = min(max(job.frames // HELD_OUT_SHARE, HELD_OUT_BOUNDS[0]), HELD_OUT_BOUNDS[1])
    budget = OVERSAMPLING * (job.frames + held) // len(job.data) + 1
    candidates: list[Candidate] = []
    seen: set[str] = set()
    for path in job.data:
        for candidate in _candidates(path, artifact.info, budget):
            # The same image under two paths would leak into the held-out frames.
            if candidate.sha256 not in seen:
                seen.add(candidate.sha256)
                candidates.append(candidate)
    require_frames(len(candidates), LEAST_FRAMES + HELD_OUT_BOUNDS[0])
    held = min(held, len(candidates) - LEAST_FRAMES)
    apart = set(choose(candidates, held))
    rest = [item for index, item in enumerate(candidates) if index not in apart]
    used = [rest[index] for index in choose(rest, job.frames)]
    inputs = (item.thermal[None, None] for item in watch(used))
    histograms = measure_histograms(artifact.onnx_path, inputs)
    ranges = choose_ranges(histograms, job.method)
    held_out = [candidates[index] for index in sorted(apart)]
    return write_set(job.output, artifact.info, job.method, ranges, used, held_out, job.overwrite)


def spread(frames: Sequence[dict[str, Any]]) -> list[tuple[str, int, int, str]]:
    """Of each origin: its path, frames, sequences and lights, for people."""
    rows = []
    for origin in dict.fromkeys(str(frame["origin"]) for frame in frames):
        mine = [frame for frame in frames if frame["origin"] == origin]
        lights = Counter(str(frame["light"]) for frame in mine)
        told = ", ".join(f"{number} {light}" for light, number in sorted(lights.items()))
        rows.append((origin, len(mine), len({frame["sequence"] for frame in mine}), told))
    return rows


def _candidates(path: Path, info: ModelInfo, budget: int) -> Iterator[Candidate]:
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        yield from _of_video(path, info, budget)
    elif path.is_dir() or path.is_file():
        yield from _of_images(path, info, budget)
    else:
        raise InputNotFoundError(f"{path}: no such file or folder")


def _of_images(path: Path, info: ModelInfo, budget: int) -> Iterator[Candidate]:
    files = _thin(_list(path), budget)
    broken: list[Path] = []
    flat = 0
    for file, sequence, light in files:
        try:
            pixels = read_still(file)
        except FalseColourError:
            raise
        except InputError as error:
            broken.append(file)
            logger.warning("%s", error)
            continue
        if pixels.min() == pixels.max():
            flat += 1
            continue
        name = str(file.relative_to(path)) if path.is_dir() else file.name
        yield _candidate(path, name, sequence, light, file_sha256(file), pixels, info)
    if len(broken) > UNREADABLE_SHARE * len(files):
        raise InputError(
            f"{path}: {len(broken)} of {len(files)} images do not decode, first {broken[0]}"
        )
    if flat:
        logger.warning("%s: left out %d images of one value", path, flat)


def _list(path: Path) -> list[tuple[Path, str, str]]:
    """Thermal images with their sequence and light; of a dataset only its training set."""
    if path.is_dir():
        try:
            recognise(path)
        except DatasetError:
            pass
        else:
            pairs = find_pairs(path)
            if any(pair.split for pair in pairs):
                pairs = [pair for pair in pairs if pair.split == "train"]
                if not pairs:
                    raise DatasetError(
                        f"{path}: expected images of the official training set, found only others"
                    )
            return [(pair.thermal, pair.sequence, pair.light) for pair in pairs]
    return [(file, "", "unknown") for file in list_images([path])]


def _of_video(path: Path, info: ModelInfo, budget: int) -> Iterator[Candidate]:
    """Frames spread over a video: every n-th, n doubling as the video turns out longer."""
    kept: list[tuple[int, ThermalPixels, str]] = []
    step = 1
    with VideoSource(path, 0.0, None) as source:
        for frame in source:
            if frame.sequence % step or frame.pixels.min() == frame.pixels.max():
                continue
            digest = hashlib.sha256(np.ascontiguousarray(frame.pixels).data).hexdigest()
            kept.append((frame.sequence, _shrunk(frame.pixels, info), digest))
            if len(kept) > 2 * budget:
                step *= 2
                kept = [item for item in kept if item[0] % step == 0]
    for number, small, digest in _thin(kept, budget):
        yield _of_small(path, str(number), path.name, "unknown", digest, small, info)


def _thin(items: list[Any], count: int) -> list[Any]:
    """At most so many, evenly spaced."""
    if len(items) <= count:
        return items
    return [items[index] for index in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _shrunk(pixels: ThermalPixels, info: ModelInfo) -> ThermalPixels:
    height, width = pixels.shape
    return shrink(pixels, fit_box(height, width, info.train_size, info.size_multiple))


def _candidate(
    origin: Path,
    name: str,
    sequence: str,
    light: str,
    digest: str,
    pixels: ThermalPixels,
    info: ModelInfo,
) -> Candidate:
    return _of_small(origin, name, sequence, light, digest, _shrunk(pixels, info), info)


def _of_small(
    origin: Path,
    name: str,
    sequence: str,
    light: str,
    digest: str,
    small: ThermalPixels,
    info: ModelInfo,
) -> Candidate:
    thermal = network_input(small, info)
    return Candidate(str(origin), name, sequence, light, digest, small, thermal)
