"""What there is to see on a synthetic drive, in metres, whoever looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

SPEED_M_S = 9.0
NEAREST_M, FARTHEST_M = 5.0, 120.0

ThingKind = Literal["tree", "house", "pole", "person", "car"]


@dataclass(frozen=True, slots=True)
class Thing:
    """Something beside or on the road, in metres."""

    kind: ThingKind
    side: float
    ahead: float
    width: float
    height: float
    warmth: int
    """Grey level of its main surface in the thermal picture."""
    speed: float = 0.0
    """Along the road, metres per second."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A road through scenery under a sky."""

    things: tuple[Thing, ...]
    clouds: npt.NDArray[np.float32]
    """How cloudy the sky is, coarsely: 10x6, mean 0, deviation 1."""
    asphalt: npt.NDArray[np.float32]
    """Grain of the ground: 1024 strips of 64 grey level differences."""


def make_scene(rng: np.random.Generator, seconds: float) -> Scene:
    """Scenery for a drive of that length."""
    things = _things(rng, seconds)
    clouds = rng.normal(0, 1, (10, 6)).astype(np.float32)
    return Scene(things, clouds, rng.integers(-9, 10, (1024, 64)).astype(np.float32))


def _things(rng: np.random.Generator, seconds: float) -> tuple[Thing, ...]:
    length = FARTHEST_M + SPEED_M_S * seconds
    things = []
    for ahead in np.arange(8.0, length, 7.0):
        for side in (-1, 1):
            away = ahead + rng.uniform(-2, 2)
            if rng.random() < 0.55:
                size = rng.uniform(4, 8)
                place = side * rng.uniform(9.5, 13)
                things.append(
                    Thing("tree", place, away, size * 0.8, size, int(rng.integers(95, 140)))
                )
            else:
                place = side * rng.uniform(15, 18)
                tall = rng.uniform(4, 9)
                things.append(Thing("house", place, away, 9, tall, int(rng.integers(120, 190))))
            if rng.random() < 0.12:
                things.append(Thing("pole", side * 7.8, away, 0.25, 6.5, 150))
            if rng.random() < 0.25:
                stroll = rng.uniform(-1.3, 1.3)
                things.append(Thing("person", side * 6.2, away, 0.6, 1.75, 235, stroll))
            if rng.random() < 0.35:
                things.append(Thing("car", side * 5.4, away, 1.9, 1.5, int(rng.integers(90, 150))))
    for away, speed in ((22.0, SPEED_M_S + 0.4), (55.0, -9.0), (90.0, -10.0), (140.0, -9.0)):
        lane = 2.0 if speed > 0 else -2.0
        things.append(Thing("car", lane, away, 1.9, 1.5, int(rng.integers(120, 170)), speed))
    return tuple(things)
