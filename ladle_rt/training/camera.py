"""Another camera: how a thermal picture of the same scene could have come out of it.

Pure functions of an explicit random generator over float32 HxW in [0,1]. Where the plain
recipe's `augment` changes a frame by a few percent, these go as far as cameras differ.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.training.augment import degrade, jitter_tone

Plane = npt.NDArray[np.float32]

KNOTS = 6
"""Of a random tone curve."""
INVERTED = 0.05
"""Share of frames that are black-hot."""


def another_camera(thermal: Plane, rng: np.random.Generator) -> Plane:
    """A frame as another camera would give it; a new array."""
    thermal = jitter_tone(thermal, rng)
    if rng.random() < 0.4:
        thermal = local_contrast(thermal, rng)
    if rng.random() < 0.4:
        thermal = tone_curve(thermal, rng)
    if rng.random() < 0.15:
        thermal = vignette(thermal, rng)
    if rng.random() < 0.15:
        thermal = low_resolution(thermal, rng)
    if rng.random() < 0.15:
        thermal = fixed_pattern(thermal, rng)
    thermal = degrade(np.clip(thermal, 0, 1), rng)
    return np.float32(1) - thermal if rng.random() < INVERTED else thermal


def local_contrast(thermal: Plane, rng: np.random.Generator) -> Plane:
    """Some of what an equalising camera does (CLAHE, Zuiderveld 1994)."""
    tiles = int(rng.integers(2, 9))
    clahe = cv2.createCLAHE(rng.uniform(1, 4), (tiles, tiles))
    equalised = clahe.apply((thermal * 255).astype(np.uint8)).astype(np.float32) / np.float32(255)
    share = rng.uniform(0.2, 1)
    return np.asarray(cv2.addWeighted(thermal, 1 - share, equalised, share, 0), np.float32)


def tone_curve(thermal: Plane, rng: np.random.Generator) -> Plane:
    """A random rising curve; every second one keeps black black."""
    x = np.linspace(0, 1, KNOTS)
    y = np.sort(np.clip(x + rng.normal(0, 0.1, KNOTS), 0, 1))
    if rng.random() < 0.5:
        y[0] = 0
    return np.interp(thermal, x, y).astype(np.float32)


def vignette(thermal: Plane, rng: np.random.Generator) -> Plane:
    """Corners up to 0.15 warmer or colder, as an uncooled sensor without a shutter has them."""
    height, width = thermal.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    lift = (x * x + y * y) / 2 * rng.uniform(-0.15, 0.15)
    return thermal + lift.astype(np.float32)


def low_resolution(thermal: Plane, rng: np.random.Generator) -> Plane:
    """As of a sensor of 1/1.5 to 1/4 of the pixels a side."""
    height, width = thermal.shape
    factor = rng.uniform(1.5, 4)
    small = (max(8, round(width / factor)), max(8, round(height / factor)))
    coarse = cv2.resize(thermal, small, interpolation=cv2.INTER_AREA)
    back = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(back, np.float32)


def fixed_pattern(thermal: Plane, rng: np.random.Generator) -> Plane:
    """Columns, or rows, of slightly unequal offset: up to 0.02."""
    across = rng.random() < 0.7
    shape = (1, thermal.shape[1]) if across else (thermal.shape[0], 1)
    strength = np.float32(rng.uniform(0, 0.02))
    return thermal + strength * rng.standard_normal(shape, dtype=np.float32)
