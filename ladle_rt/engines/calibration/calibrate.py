"""From thermal footage of any kind to a calibration set."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ladle_rt.datasets.read_image import read_thermal
from ladle_rt.engines.calibration.calibration_set import (
    CalibrationSet,
    check_folder,
    network_input,
    write_set,
)
from ladle_rt.engines.calibration.footage import Reader
from ladle_rt.engines.calibration.ranges import (
    METHODS,
    Method,
    choose_ranges,
    measure_histograms,
)
from ladle_rt.engines.calibration.selection import Candidate, choose, with_kinds
from ladle_rt.errors import ConfigError
from ladle_rt.models.artifact import ModelArtifact

logger = logging.getLogger("ladle_rt")

LEAST_FRAMES = 8
"""Fewer are refused."""
FEW_FRAMES = 16
"""Fewer say little about how values are distributed."""
OVERSAMPLING = 4
"""Frames that are read for each that is chosen: what there is to choose from."""
HELD_OUT_SHARE = 8
"""One frame is held out for the gate for so many that are calibrated on, within the bounds."""
HELD_OUT_BOUNDS = (8, 32)
LEAST_HELD_OUT = 2

Watch = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class CalibrationJob:
    """What to calibrate on, and where the set goes."""

    data: tuple[Path, ...]
    """Datasets, folders of thermal images, videos."""
    output: Path
    frames: int = 256
    method: Method = "kl"
    image_list: Path | None = None
    """Only the pairs named in this file, of the only dataset in ``data``."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.data:
            raise ConfigError("calibration needs thermal footage: add --data PATH")
        if self.frames < LEAST_FRAMES:
            raise ConfigError(f"n must be at least {LEAST_FRAMES}, received {self.frames}")
        if self.method not in METHODS:
            raise ConfigError(f"method must be one of {METHODS}, received {self.method!r}")
        if self.image_list is not None and len(self.data) > 1:
            raise ConfigError(
                f"an image list belongs to one dataset, received {len(self.data)} of them; "
                "give one --data"
            )


def calibrate(
    artifact: ModelArtifact, job: CalibrationJob, watch: Watch = lambda items: items
) -> CalibrationSet:
    """Choose frames, measure ranges, write the set.

    Args:
        artifact: fp32 model.
        job: what to do.
        watch: wraps the chosen frames while they are run, for a progress bar.

    Raises:
        ConfigError: fewer than `LEAST_FRAMES` frames, apart from those held out.
        InputError: nothing thermal at a path, coloured images, too many that do not decode.
        DatasetError: none of a dataset's images is in its official training set.
        OutputError: the folder is taken or cannot be written.
    """
    check_folder(job.output, job.overwrite)
    low, high = HELD_OUT_BOUNDS
    held = min(max(job.frames // HELD_OUT_SHARE, low), high)
    budget = OVERSAMPLING * (job.frames + held) // len(job.data) + 1
    with tempfile.TemporaryDirectory(prefix="ladle-rt-") as folder:
        candidates = _candidates(job, Reader(artifact.info, Path(folder), budget))
        held = min(held, max(len(candidates) - 2 * low, len(candidates) // 5, LEAST_HELD_OUT))
        apart = set(choose(candidates, held))
        rest = [item for index, item in enumerate(candidates) if index not in apart]
        used = [rest[index] for index in choose(rest, job.frames)]
        if len(used) < job.frames:
            logger.warning(
                "calibrating on %d frames instead of %d: there are not more%s",
                *(len(used), job.frames),
                f"; {FEW_FRAMES} or more give ranges to trust" * (len(used) < FEW_FRAMES),
            )
        inputs = (network_input(read_thermal(item.file), artifact.info) for item in watch(used))
        histograms = measure_histograms(artifact.onnx_path, inputs)
        return write_set(
            job.output,
            artifact.info,
            job.method,
            choose_ranges(histograms, job.method),
            used,
            [candidates[index] for index in sorted(apart)],
            job.overwrite,
        )


def _candidates(job: CalibrationJob, reader: Reader) -> list[Candidate]:
    found: list[Candidate] = []
    seen: set[str] = set()
    for path in job.data:
        for candidate in reader.read(path, job.image_list):
            # The same image under two paths would leak into the held-out frames.
            if candidate.sha256 not in seen:
                seen.add(candidate.sha256)
                found.append(candidate)
    least = LEAST_FRAMES + LEAST_HELD_OUT
    if len(found) < least:
        raise ConfigError(
            f"calibration needs at least {least} different thermal frames ({LEAST_HELD_OUT} of "
            f"them held out), received {len(found)}; add more with --data (INT8 is never "
            "calibrated on made-up data)"
        )
    return with_kinds(found)


def spread(frames: Sequence[dict[str, Any]]) -> list[tuple[str, int, int, int, str]]:
    """How frames of a manifest spread, for people.

    Returns:
        Of each origin: its path, frames, sequences, kinds of histogram, and lights.
    """
    rows = []
    for origin in dict.fromkeys(str(frame["origin"]) for frame in frames):
        mine = [frame for frame in frames if frame["origin"] == origin]
        sequences, kinds = ({frame[key] for frame in mine} for key in ("sequence", "kind"))
        lights = Counter(str(frame["light"]) for frame in mine)
        summary = ", ".join(f"{number} {light}" for light, number in sorted(lights.items()))
        rows.append((origin, len(mine), len(sequences), len(kinds), summary))
    return rows
