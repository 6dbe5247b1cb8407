"""Flicker suppression, measured on the whole way that a stream's frames take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ladle_rt.bench.video_pairs import Moments, VideoPair
from ladle_rt.config import TranslateOptions
from ladle_rt.evaluation.contestant import SIZE
from ladle_rt.evaluation.temporal import Motion, TemporalMeter, TemporalScores, estimate_motion
from ladle_rt.frames import Frame, Picture
from ladle_rt.metrics.similarity import Image
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.sinks.convert import to_rgb
from ladle_rt.sources.video import VideoSource
from ladle_rt.thermal.normalization import LevelTracker, ThermalNormalization, apply_levels
from ladle_rt.translate.select import PictureSpec, create_translator
from ladle_rt.translate.steady import Blender


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


def measure_steadiness(
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
    options = TranslateOptions(backend="onnxruntime", threads=1, smoothing_s=smoothing_s)
    blenders = [Blender(strength, spec) for strength in strengths]
    meters = [TemporalMeter() for _ in strengths]
    truth_meter = TemporalMeter()
    spent_s = [0.0] * len(strengths)
    moved: list[list[float]] = [[] for _ in strengths]
    follower = _Follower(spec)
    frames = 0
    has_truth = isinstance(video, VideoPair)
    with create_translator(artifact, options, PictureSpec("yuv420p", even=True)) as translator:
        for frame, truth, continues in _moments(video, limit):
            frames += 1
            translator.submit(frame)
            plain = translator.collect().picture
            motion = follower.update(frame, continues)
            unblended = _small(plain)
            for index, blender in enumerate(blenders):
                begin_s = time.perf_counter()
                shown = blender.blend(frame, plain)
                spent_s[index] += time.perf_counter() - begin_s
                image = _small(shown)
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


def _moments(
    video: VideoPair | Path, limit: int | None
) -> Iterator[tuple[Frame, Image | None, bool]]:
    if isinstance(video, VideoPair):
        yield from Moments(video, limit)
        return
    with VideoSource(video) as source:
        for number, frame in enumerate(source):
            if number == limit:
                return
            yield frame, None, number > 0


class _Follower:
    """Motion of the thermal input at comparison size."""

    def __init__(self, spec: ThermalNormalization) -> None:
        self._spec, self._tracker = spec, LevelTracker(spec)
        self._before: Any = None

    def update(self, frame: Frame, continues: bool) -> Motion | None:
        small: Any = cv2.resize(frame.pixels, SIZE[::-1], interpolation=cv2.INTER_AREA)
        levels = self._tracker.update(small, frame.time_s)
        before, self._before = self._before, small
        if before is None or not continues:
            return None
        return estimate_motion(
            apply_levels(before, levels, self._spec), apply_levels(small, levels, self._spec)
        )


def _small(picture: Picture) -> Image:
    small: Any = cv2.resize(to_rgb(picture), SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)
