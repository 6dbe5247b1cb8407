"""Augmentation as pure functions of an explicit random generator.

Thermal images are float32 HxW in [0,1], visible ones uint8 HxWx3 RGB, both of one size.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import ThermalPixels

Box = tuple[int, int, int, int]
"""Top, left, height, width, pixels."""

FULL_FRAME = 0.4
"""Share of samples that show the whole frame: position (sky above road) carries meaning."""


def random_box(height: int, width: int, rng: np.random.Generator) -> Box:
    """A crop of 65 to 100 % of each side, its aspect ratio jittered by up to 20 %."""
    if rng.random() < FULL_FRAME:
        return 0, 0, height, width
    scale = rng.uniform(0.65, 1.0)
    stretch = np.exp(rng.uniform(-0.2, 0.2) / 2)
    crop_height = max(1, round(height * min(scale * stretch, 1.0)))
    crop_width = max(1, round(width * min(scale / stretch, 1.0)))
    top = int(rng.integers(0, height - crop_height + 1))
    left = int(rng.integers(0, width - crop_width + 1))
    return top, left, crop_height, crop_width


def crop_and_resize(
    thermal: ThermalPixels, visible: npt.NDArray[np.uint8], box: Box, size: tuple[int, int]
) -> tuple[ThermalPixels, npt.NDArray[np.uint8]]:
    """The same box of both images, resized to ``size`` (height, width)."""
    return part_of(thermal, box, size), part_of(visible, box, size)


def part_of(image: Any, box: Box, size: tuple[int, int]) -> Any:
    """A box of one image, resized to ``size`` (height, width)."""
    top, left, height, width = box
    shrinks = height >= size[0] and width >= size[1]
    return cv2.resize(
        image[top : top + height, left : left + width],
        size[::-1],
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )


def jitter_tone(
    thermal: npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Another camera's gain, offset and gamma: up to 13 %, 0.05 and a factor of 1.2."""
    gamma = np.exp(rng.uniform(-0.18, 0.18))
    gain = np.exp(rng.uniform(-0.12, 0.12))
    offset = rng.uniform(-0.05, 0.05)
    curved = np.power(thermal, np.float32(gamma))
    result = (curved - np.float32(0.5)) * np.float32(gain) + np.float32(0.5 + offset)
    clipped: npt.NDArray[np.float32] = np.clip(result, 0, 1)
    return clipped


def degrade(thermal: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Sometimes a noisier or softer sensor: Gaussian noise up to 0.02, blur up to 1 px sigma."""
    if rng.random() < 0.1:
        sigma = rng.uniform(0.3, 1.0)
        thermal = cv2.GaussianBlur(thermal, (0, 0), sigma).astype(np.float32, copy=False)
    if rng.random() < 0.3:
        noise = rng.standard_normal(thermal.shape, dtype=np.float32)
        thermal = np.clip(thermal + noise * np.float32(rng.uniform(0, 0.02)), 0, 1)
    return thermal
