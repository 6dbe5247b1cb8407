"""What flicker suppression gains and costs, on real video.

    python benchmarks/flicker.py --pairs FOLDER [--video FILE] [--output FILE]

The truth's own values are the floor: a real camera has noise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from helpers import write_result

from ladle_rt.colour import to_rgb
from ladle_rt.config import TranslateOptions
from ladle_rt.evaluation.eval_model import comparison_size
from ladle_rt.evaluation.evaluate_video import MotionTracker
from ladle_rt.evaluation.temporal_metrics import TemporalMeter, TemporalScores
from ladle_rt.evaluation.video_pairs import AlignedFrames, VideoPair, find_video_pairs
from ladle_rt.frames import Frame, Picture
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelArtifact, load_artifact
from ladle_rt.similarity import Image
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.normalization import LevelTracker
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.select import create_translator
from ladle_rt.translate.steady import Blender

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
COLUMNS = ("flicker", "warping_l1", "ssim", "psnr_db", "moved", "blend_ms")


@dataclass(frozen=True, slots=True)
class SteadyScores:
    """One strength on one video."""

    strength: float
    scores: TemporalScores
    moved: float
    """Mean absolute difference to the picture without suppression where the input moves, 8-bit
    counts: what could be seen as a ghost."""
    blend_ms: float
    """Per frame, one core."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "strength": self.strength,
            **self.scores.to_dict(),
            "moved": round(self.moved, 3),
            "blend_ms": round(self.blend_ms, 2),
        }


def measure(
    artifact: ModelArtifact,
    video: VideoPair | Path,
    strengths: Sequence[float],
    smoothing_s: float,
    limit: int | None = None,
) -> tuple[list[SteadyScores], TemporalScores | None]:
    """Translate a video once and make it steady at several strengths.

    Args:
        artifact: the model.
        video: with its visible video, whose own values are the floor; or thermal alone.
        strengths: of `Blender`.
        smoothing_s: of the thermal levels.
        limit: measure so many frames.

    Returns:
        One row per strength, and the truth's where there is one.
    """
    spec = artifact.info.thermal
    options = TranslateOptions(
        backend="onnxruntime", threads=1, smoothing_s=smoothing_s, steady=0.0
    )
    blenders = [Blender(strength, spec) for strength in strengths]
    meters = [TemporalMeter() for _ in strengths]
    truth_meter = TemporalMeter()
    spent_s = [0.0] * len(strengths)
    moved: list[list[float]] = [[] for _ in strengths]
    motions, levels = MotionTracker(spec), LevelTracker(spec)
    frames = 0
    has_truth = isinstance(video, VideoPair)
    with create_translator(artifact, options, PictureSpec("yuv420p", even=True)) as translator:
        for frame, truth, continues in aligned_frames(video, limit):
            frames += 1
            translator.submit(frame)
            plain = translator.collect().picture
            thermal = comparison_size(frame.pixels)
            motion = motions.update(thermal, levels.update(thermal, frame.time_s), continues)
            unblended = small(plain)
            for index, blender in enumerate(blenders):
                begin_s = time.perf_counter()
                shown = blender.blend(frame, plain)
                spent_s[index] += time.perf_counter() - begin_s
                image = small(shown)
                meters[index].add(image, unblended if truth is None else truth, motion)
                if motion is not None and not motion.static.all():
                    change = np.abs(image - unblended)[~motion.static]
                    moved[index].append(float(change.mean()) * 255)
            if truth is not None:
                truth_meter.add(truth, truth, motion)
    rows = [
        SteadyScores(
            strength,
            meters[index].scores(),
            float(np.mean(moved[index] or [0.0])),
            spent_s[index] / max(frames, 1) * 1e3,
        )
        for index, strength in enumerate(strengths)
    ]
    return rows, truth_meter.scores() if has_truth else None


def aligned_frames(
    video: VideoPair | Path, limit: int | None
) -> Iterator[tuple[Frame, Image | None, bool]]:
    """Thermal frame, truth where there is one, and whether the frame before was there too."""
    if isinstance(video, VideoPair):
        yield from AlignedFrames(video, limit)
        return
    with VideoSource(video) as source:
        for number, frame in enumerate(source):
            if number == limit:
                return
            yield frame, None, number > 0


def small(picture: Picture) -> Image:
    """At comparison size, RGB in [0,1]."""
    return np.asarray(comparison_size(to_rgb(picture)), np.float32) / np.float32(255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--video", type=Path, action="append", default=[])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    artifact = load_artifact(options.model)
    results: dict[str, Any] = {}
    print("| video | levels | strength |", " | ".join(COLUMNS), "|")
    print("|---|---|---|" + "---|" * len(COLUMNS))
    for video in (*find_video_pairs(options.pairs), *options.video):
        name = video.stem if isinstance(video, Path) else video.name
        rows: list[dict[str, Any]] = []
        for levels, smoothing_s in (("each frame", 0.0), ("smoothed", 1.0)):
            found, truth = measure(artifact, video, STRENGTHS, smoothing_s, options.limit)
            rows += [{"levels": levels, **one.to_dict()} for one in found]
        if truth is not None:
            rows.append({"levels": "", "strength": "truth", **truth.to_dict()})
        results[name] = rows
        for row in rows:
            values = (row.get(column) for column in COLUMNS)
            cells = " | ".join("" if value is None else f"{value:.3g}" for value in values)
            print(f"| {name} | {row['levels']} | {row['strength']} | {cells} |")
    if options.output is not None:
        write_result(options.output, "flicker", {"model": options.model}, results)


if __name__ == "__main__":
    main()
