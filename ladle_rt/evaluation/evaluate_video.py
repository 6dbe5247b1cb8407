"""Temporal figures of models on pairs of thermal and visible videos.

Reads through sources, measures through evaluation. Every model is measured twice: with the
levels of the run time, which follow the video slowly, and with each frame's own levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import DatasetError, PartialResultError
from ladle_rt.evaluation.eval_model import EvalModel, comparison_size
from ladle_rt.evaluation.pair_images import grey_copy
from ladle_rt.evaluation.temporal_metrics import (
    Motion,
    TemporalMeter,
    TemporalScores,
    VideoReport,
    estimate_motion,
)
from ladle_rt.evaluation.video_pairs import AlignedFrames, VideoPair
from ladle_rt.frames import Levels, ThermalPixels
from ladle_rt.thermal.normalization import LevelTracker, ThermalNormalization, apply_levels

SMOOTHED, EACH_FRAME = "smoothed", "each frame"
"""Kinds of thermal levels: what ``ladle-rt video`` does, and none of it."""


def evaluate_video(
    models: Sequence[EvalModel], pair: VideoPair, limit: int | None = None
) -> VideoReport:
    """Measure models, the grey copy and the truth on one pair of videos at comparison size.

    Args:
        models: at least one; the grey copy and the flow use the first one's normalisation.
        pair: the videos; frames belong together by their time from the first frame.
        limit: measure so many frames.

    Raises:
        InputError: a video that cannot be read.
        DatasetError: videos of different aspect ratio, or of fewer than two common moments.
        ModelError: an output that is not finite.
    """
    motions = MotionTracker(models[0].thermal)
    levels = {
        kind: {one.thermal: LevelTracker(one.thermal, seconds) for one in models}
        for kind, seconds in ((SMOOTHED, TranslateOptions().smoothing_s), (EACH_FRAME, 0.0))
    }
    meters = {
        (row, kind): TemporalMeter()
        for row in (*(one.name for one in models), "grey copy")
        for kind in levels
    }
    truth_meter = TemporalMeter()
    moments = AlignedFrames(pair, limit)
    failure = None
    try:
        for frame, truth, continues in moments:
            small = comparison_size(frame.pixels)
            inputs = {}
            for kind, trackers in levels.items():
                used = {
                    spec: tracker.update(small, frame.time_s) for spec, tracker in trackers.items()
                }
                inputs[kind] = {
                    spec: apply_levels(small, found, spec) for spec, found in used.items()
                }
                if kind == SMOOTHED:
                    motion = motions.update(small, used[motions.spec], continues)
            for kind, thermals in inputs.items():
                for one in models:
                    image = one.picture(thermals[one.thermal], f"frame {frame.sequence}")
                    meters[one.name, kind].add(image, truth, motion)
                grey = grey_copy(thermals[motions.spec])
                meters["grey copy", kind].add(grey, truth, motion)
            truth_meter.add(truth, truth, motion)
    except PartialResultError:
        failure = f"{pair.thermal}: the file is damaged or cut short"
    if moments.matched < 2:
        raise DatasetError(
            f"{pair.thermal} and {pair.visible}: expected two videos of the same moments, received "
            f"{moments.matched} frames at equal times"
        )
    rows: dict[tuple[str, str], TemporalScores] = {key: m.scores() for key, m in meters.items()}
    rows["truth", ""] = truth_meter.scores()
    return VideoReport(
        name=pair.name,
        frames=moments.matched,
        unmatched=moments.unmatched,
        seen_share=motions.share("seen"),
        static_share=motions.share("static"),
        rows=rows,
        failure=failure,
    )


class MotionTracker:
    """Motion of a thermal video from frame to frame, and how much of the picture it covers.

    Args:
        spec: the normalisation that frames are compared under.
    """

    def __init__(self, spec: ThermalNormalization) -> None:
        self.spec = spec
        self._before: ThermalPixels | None = None
        self._shares: dict[str, list[float]] = {"seen": [], "static": []}

    def update(self, small: ThermalPixels, levels: Levels, continues: bool) -> Motion | None:
        """Motion since the last frame; ``None`` at the start and behind a gap."""
        before, self._before = self._before, small
        if before is None or not continues:
            return None
        motion = estimate_motion(
            apply_levels(before, levels, self.spec), apply_levels(small, levels, self.spec)
        )
        for name, values in self._shares.items():
            values.append(float(getattr(motion, name).mean()))
        return motion

    def share(self, name: str) -> float:
        """Mean over frames."""
        return float(np.mean(self._shares[name] or [0.0]))
