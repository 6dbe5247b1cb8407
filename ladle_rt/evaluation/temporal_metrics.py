"""How steady a translated video is.

Two measures, both guided by the thermal input alone, never by the output that is measured:

- warping error (Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018): each frame
  against the one before it, moved along the optical flow; pixels that the flow cannot follow in
  both directions count as hidden and are left out (Sundaram, Brox & Keutzer, ECCV 2010);
- static flicker: how much the picture changes where the input does not.

A picture that never changes scores zero, so both stand beside SSIM and PSNR; and a real camera
has noise, so the true video's own values are the floor that is worth reaching.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.documents import json_number
from ladle_rt.similarity import Image, psnr_db, similarity

Plane = npt.NDArray[np.float32]

STATIC_LIMIT = 3 / 255
"""Largest change of the smoothed input, on a scale of 1, that counts as none."""
STATIC_MARGIN = 9
"""Pixels: what moves unsettles its surroundings in any network, so they are not static either."""


@dataclass(frozen=True, slots=True)
class Motion:
    """How a thermal frame follows from the one before it."""

    source: Plane
    """[H,W,2] float32: where each pixel was in the frame before, x and y in pixels; its own
    place where the input is static."""
    seen: npt.NDArray[np.bool_]
    """[H,W]: visible in both frames."""
    static: npt.NDArray[np.bool_]
    """[H,W]: the input did not change there, nor nearby."""


@dataclass(frozen=True, slots=True)
class TemporalScores:
    """One row on one video, means over frames; NaN where there was nothing to measure."""

    warping_l1: float
    """Mean absolute warping error, 8-bit counts."""
    warping_mse: float
    """Mean squared warping error, RGB in [0,1]."""
    flicker: float
    """Mean absolute change from frame to frame in static regions, 8-bit counts."""
    ssim: float
    """Against the visible video, as in `ladle_rt.evaluation.image_metrics`."""
    psnr_db: float
    """Against the visible video; infinite for the visible video itself."""

    def to_dict(self) -> dict[str, float | None]:
        """JSON-ready, five digits."""
        return {key: json_number(value) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class VideoReport:
    """What was measured on one pair of videos."""

    name: str
    frames: int
    """Thermal frames that had a visible partner."""
    unmatched: int
    """Thermal frames that had none."""
    seen_share: float
    """Mean share of the picture that the flow could follow."""
    static_share: float
    """Mean share of the picture that was static."""
    rows: dict[tuple[str, str], TemporalScores]
    """By row and kind of thermal levels; the truth, which has none, comes last."""
    failure: str | None
    """Why the end of a video is missing, where it is."""

    def warping_ratio(self, row: str, levels: str) -> float:
        """Warping error (L1) of a row over the truth's: 1 is as steady as the camera's own video.

        NaN where the truth's is zero or nothing was measured.
        """
        truth = self.rows["truth", ""].warping_l1
        return self.rows[row, levels].warping_l1 / truth if truth else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "video": self.name,
            "frames": self.frames,
            "unmatched": self.unmatched,
            "seen_share": float(f"{self.seen_share:.4g}"),
            "static_share": float(f"{self.static_share:.4g}"),
            "rows": [
                {
                    "image": row,
                    "levels": levels,
                    **scores.to_dict(),
                    "warping_ratio": json_number(self.warping_ratio(row, levels)),
                }
                for (row, levels), scores in self.rows.items()
            ],
            "failure": self.failure,
        }


def estimate_motion(before: Plane, now: Plane) -> Motion:
    """Follow the thermal image from one frame to the next.

    Args:
        before: HxW float32 in [0,1], normalised with the same levels as ``now``, so that a
            change of levels is not taken for motion.
        now: the same.
    """
    change = np.abs(cv2.blur(now, (5, 5)) - cv2.blur(before, (5, 5)))
    nearby: Any = cv2.dilate(change, np.ones((STATIC_MARGIN, STATIC_MARGIN), np.uint8))
    static = nearby <= STATIC_LIMIT
    bytes_before, bytes_now = (_to_byte(plane) for plane in (before, now))
    backward, forward = _flow(bytes_now, bytes_before), _flow(bytes_before, bytes_now)
    height, width = now.shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    returned: Any = cv2.remap(forward, grid + backward, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    lengths = np.square(backward).sum(axis=2) + np.square(returned).sum(axis=2)
    consistent = np.square(backward + returned).sum(axis=2) <= 0.01 * lengths + 0.5
    # In the noise of flat walls the flow drifts, which would blame a picture for having texture
    # where the thermal image has none: it raised the error of two true videos by 40 and 80 %.
    backward[static] = 0
    source = grid + backward
    limits = np.array([width - 1, height - 1], np.float32)
    inside = ((source >= 0) & (source <= limits)).all(axis=2)
    return Motion(source, (consistent | static) & inside, static)


def warp(before: Image, motion: Motion) -> Image:
    """Move the frame before to where the thermal image says it is now."""
    moved: Any = cv2.remap(before, motion.source, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    return moved  # type: ignore[no-any-return]


class TemporalMeter:
    """Follows one row through a video; feed it every frame in order."""

    def __init__(self) -> None:
        self._before: Image | None = None
        self._figures: dict[str, list[float]] = {key: [] for key in TemporalScores.__slots__}

    def add(self, image: Image, truth: Image, motion: Motion | None) -> None:
        """Take one frame.

        Args:
            image: HxWx3 float32 in [0,1]; not written to afterwards.
            truth: the same, of the visible video.
            motion: how its thermal frame follows from the last one; ``None`` starts afresh.
        """
        figures = self._figures
        if motion is not None and self._before is not None:
            if motion.seen.any():
                error = (image - warp(self._before, motion))[motion.seen]
                figures["warping_l1"].append(float(np.abs(error).mean()) * 255)
                figures["warping_mse"].append(float(np.square(error).mean()))
            if motion.static.any():
                change = (image - self._before)[motion.static]
                figures["flicker"].append(float(np.abs(change).mean()) * 255)
        figures["ssim"].append(similarity(image, truth).ssim)
        figures["psnr_db"].append(psnr_db(image, truth))
        self._before = image

    def scores(self) -> TemporalScores:
        """Means over the frames so far."""
        return TemporalScores(
            **{
                key: float(np.mean(values)) if values else float("nan")
                for key, values in self._figures.items()
            }
        )


def _flow(start: npt.NDArray[np.uint8], end: npt.NDArray[np.uint8]) -> Plane:
    """Dense flow by inverse search (Kroeger et al., ECCV 2016), at full resolution."""
    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # The preset stops at half the size, which is for larger pictures than these.
    engine.setFinestScale(0)
    found: Any = engine.calc(start, end, None)  # type: ignore[call-overload]
    return found  # type: ignore[no-any-return]


def _to_byte(plane: Plane) -> npt.NDArray[np.uint8]:
    return (plane * np.float32(255)).round().astype(np.uint8)
