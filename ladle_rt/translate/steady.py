"""Flicker suppression: where the thermal frame does not change, the picture may not either.

Each picture is blended with what was shown before, pixel by pixel, by how still the thermal
frame is there; colour more than brightness, because the eye minds its flicker more and misses
its sharpness less. The gate sees the thermal input alone, so that a network which changes its
mind does not open it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.colour import LUMA, picture_planes
from ladle_rt.config import Layout
from ladle_rt.errors import ConfigError
from ladle_rt.frames import Frame, Levels, Picture
from ladle_rt.thermal.normalization import ThermalNormalization, measure_levels

Plane = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

LUMA_KEEP, CHROMA_KEEP = 0.92, 0.95
"""Share of the shown picture that stays, per frame, where all is still, at strength 1."""
GATE_SHRINK = 4
"""The gate works at a quarter of the frame's size: sensor noise averages out."""
STILL = 0.016
"""Changes of the shrunken frame below this share of its span are none."""
NOISE_FACTOR = 4.0
"""Or below so many times the usual change, for noisy cameras."""
MARGIN = 7
"""Gate pixels around what moves that count as moving too: a network's surroundings."""
REFERENCE_RATE = 0.05
"""How fast the still frame that slow motion is measured against follows."""
CUT_SHARE = 0.6
"""More of the picture moving than this is another scene."""
LONGEST_GAP_S = 0.5


class MotionGate:
    """How much each part of the thermal frame changed; in frame order, from one thread."""

    def __init__(self, spec: ThermalNormalization) -> None:
        self._spec = spec
        self._before: Plane | None = None
        self._reference: Plane | None = None
        self._noise = 0.0
        self._time_s = 0.0

    def update(self, frame: Frame, levels: Levels | None = None) -> Plane | None:
        """The frame against those before it.

        Args:
            frame: HxW, uint8 or uint16.
            levels: those it was translated with; ``None``: measured here.

        Returns:
            float32 in [0, 1] at a quarter of the frame's size, 0 still and 1 moving; ``None``
            where nothing can be compared: the first frame, a gap, another size or scene.
        """
        height, width = frame.pixels.shape
        size = (max(1, width // GATE_SHRINK), max(1, height // GATE_SHRINK))
        shrunk: Any = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
        levels = levels or measure_levels(shrunk, self._spec)
        now: Plane = shrunk.astype(np.float32)
        gap_s = frame.time_s - self._time_s
        self._time_s = frame.time_s
        before, reference = self._before, self._reference
        self._before = now
        if (
            before is None
            or reference is None
            or before.shape != now.shape
            or not 0 <= gap_s <= LONGEST_GAP_S
        ):
            self._reference, self._noise = now, 0.0
            return None
        scale = 1 / max(levels.high - levels.low, 8.0)
        step = cv2.absdiff(now, before) * np.float32(scale)
        change: Any = cv2.blur(np.maximum(step, cv2.absdiff(now, reference) * scale), (3, 3))
        # The median of a few: most of a picture is still, or all of it moves alike.
        usual = float(np.median(step[::3, ::3]))
        self._noise = usual if self._noise == 0.0 else 0.9 * self._noise + 0.1 * usual
        still = max(STILL, NOISE_FACTOR * min(self._noise, STILL))
        moving: Any = cv2.dilate(
            np.clip((change - still) / still, 0, 1), np.ones((MARGIN, MARGIN), np.uint8)
        )
        if float(moving.mean()) > CUT_SHARE:
            self._reference = now
            return None
        rate = REFERENCE_RATE + (1 - REFERENCE_RATE) * moving
        self._reference = reference + rate * (now - reference)
        smooth: Any = cv2.blur(moving, (3, 3))
        return smooth  # type: ignore[no-any-return]


class Blender:
    """Keeps what was shown, and blends; in frame order, from one thread.

    The state is float32: with 8 bits a slow change would be rounded away for ever.
    """

    def __init__(
        self, strength: float, spec: ThermalNormalization, layout: Layout = "colour"
    ) -> None:
        """
        Args:
            strength: 0 to 1.
            spec: the model's normalisation.
            layout: of the pictures; beside a thermal picture only the colour half is blended.

        Raises:
            ConfigError: a strength out of range.
        """
        if not 0 <= strength <= 1:
            raise ConfigError(f"steady must be within 0-1, received {strength:g}")
        self._strength = strength
        self._beside = layout == "side-by-side"
        self._gate = MotionGate(spec)
        self._shown: list[Plane] | None = None
        self._kind: tuple[int, int] | None = None

    def blend(self, frame: Frame, picture: Picture, levels: Levels | None = None) -> Picture:
        """One picture, made steady.

        Args:
            frame: the thermal frame that the picture was made from.
            picture: ``yuv420p`` or ``rgb24``, of any size.
            levels: the frame's thermal levels; ``None``: measured here.

        Returns:
            A new picture; or the same one where there is nothing to blend with.
        """
        moving = self._gate.update(frame, levels)
        kind = (picture.width, picture.height)
        parts = [self._colour_part(plane) for plane in picture_planes(picture)]
        if moving is None or self._shown is None or kind != self._kind:
            self._shown = [part.astype(np.float32) for part in parts]
            self._kind = kind
            return picture
        data = picture.data.copy()
        result = Picture(picture.format, data, picture.width, picture.height)
        targets = [self._colour_part(plane) for plane in picture_planes(result)]
        if picture.format == "rgb24":
            self._blend_rgb(parts[0], self._shown[0], moving, targets[0])
        else:
            self._blend_planes(parts, self._shown, moving, targets)
        return result

    def forget(self) -> None:
        """Begin anew with the next picture."""
        self._shown = None

    def _blend_planes(
        self, parts: list[Bytes], before: list[Plane], moving: Plane, targets: list[Bytes]
    ) -> None:
        """Luma and chroma into what was shown ``before``, in place, and that into ``targets``."""
        for number, (part, shown) in enumerate(zip(parts, before, strict=True)):
            keep = self._strength * (CHROMA_KEEP if number else LUMA_KEEP)
            if number < 2:
                # Both chroma planes share one map.
                size = part.shape[1::-1]
                take: Any = cv2.resize(moving, size, interpolation=cv2.INTER_LINEAR)
                take = take * np.float32(keep) + np.float32(1 - keep)
            step: Any = cv2.subtract(part, shown, dtype=cv2.CV_32F)
            cv2.multiply(step, take, dst=step)
            cv2.add(shown, step, dst=shown)
            targets[number][:] = cv2.convertScaleAbs(shown)

    def _blend_rgb(self, part: Bytes, shown: Plane, moving: Plane, target: Bytes) -> None:
        """The same for RGB: a step of its luma is that step in all three channels."""
        size = part.shape[1::-1]
        still: Any = 1 - cv2.resize(moving, size, interpolation=cv2.INTER_LINEAR)
        step: Any = cv2.subtract(part, shown, dtype=cv2.CV_32F)
        luma: Any = cv2.transform(step, LUMA[None])
        luma *= still * np.float32(self._strength * (CHROMA_KEEP - LUMA_KEEP))
        step *= (1 - still * np.float32(self._strength * CHROMA_KEEP))[..., None]
        step += luma[..., None]
        cv2.add(shown, step, dst=shown)
        # Luma and chroma from different moments may be a colour that does not exist.
        np.maximum(shown, 0, out=shown)
        target[:] = cv2.convertScaleAbs(shown)

    def _colour_part(self, plane: Bytes) -> Bytes:
        return plane[:, plane.shape[1] // 2 :] if self._beside else plane
