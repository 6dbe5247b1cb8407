"""A synthetic thermal drive, for trying things out without a camera or a recording.

Painted from far to near with the grey levels of real long-wave infrared footage by day: cold
sky, warm road with worn markings, mid-grey trees, house fronts with windows, cars with hot
wheels and rear ends, people brighter than all else, row noise of an uncooled sensor.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.errors import ConfigError
from ladle_rt.frames import Frame
from ladle_rt.sources.base import SourceInfo

Canvas = npt.NDArray[np.uint8]

HORIZON = 0.42
"""Height of the horizon, share of the picture."""
CAMERA_HEIGHT_M = 1.4
SPEED_M_S = 9.0
NEAREST_M, FARTHEST_M = 5.0, 120.0


@dataclass(frozen=True, slots=True)
class DriveOptions:
    """What the drive looks like."""

    width: int = 640
    """Pixels."""
    height: int = 512
    """Pixels."""
    rate: int = 30
    """Frames per second."""
    seconds: float = 5.0
    """Length; at least one frame is made."""
    seed: int = 1
    """Scenery: one seed, one drive."""

    def __post_init__(self) -> None:
        if not (16 <= self.width <= 8192 and 16 <= self.height <= 8192):
            raise ConfigError(
                f"size must be 16x16 to 8192x8192, received {self.width}x{self.height}"
            )
        if not (self.rate >= 1 and 0 < self.seconds < math.inf and self.seed >= 0):
            raise ConfigError(
                "rate must be >= 1, seconds > 0 and finite, and seed >= 0, "
                f"received {self.rate}, {self.seconds:g} and {self.seed}"
            )


@dataclass(frozen=True, slots=True)
class _Thing:
    """Something beside or on the road, in metres."""

    kind: str
    side: float
    ahead: float
    width: float
    height: float
    level: int
    speed: float = 0.0
    """Along the road, metres per second."""


class SyntheticSource:
    """A `Source` of 8-bit frames, the same for the same options."""

    def __init__(self, options: DriveOptions | None = None) -> None:
        self._options = options or DriveOptions()
        options = self._options
        self._rng = np.random.default_rng(options.seed)
        self._things = _scenery(self._rng, options.seconds)
        self._focal = options.width * 0.9
        self._count = max(1, round(options.seconds * options.rate))
        self._sky = self._paint_sky()
        self._texture = self._rng.integers(-9, 10, (1024, 64)).astype(np.float32)

    @property
    def info(self) -> SourceInfo:
        """Everything is known beforehand."""
        options = self._options
        return SourceInfo(
            width=options.width,
            height=options.height,
            time_base=Fraction(1, options.rate),
            rate=Fraction(options.rate),
            frames=self._count,
            duration_s=self._count / options.rate,
        )

    def __iter__(self) -> Iterator[Frame]:
        time_base = self.info.time_base
        for number in range(self._count):
            pixels = self._render(number / self._options.rate)
            yield Frame(pixels, number, time.monotonic_ns(), number, time_base)

    def close(self) -> None:
        """Nothing to release."""

    def __enter__(self) -> SyntheticSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _render(self, now_s: float) -> Canvas:
        height, width = self._options.height, self._options.width
        canvas = self._sky.copy()
        self._paint_road(canvas, SPEED_M_S * now_s)
        placed = [
            (thing, thing.ahead + (thing.speed - SPEED_M_S) * now_s) for thing in self._things
        ]
        for thing, ahead in sorted(placed, key=lambda item: -item[1]):
            if NEAREST_M < ahead < FARTHEST_M:
                self._paint(canvas, thing, ahead, now_s)
        noise = self._rng.normal(0, 1.6, (height, width)).astype(np.float32)
        noise += self._rng.normal(0, 0.8, (height, 1)).astype(np.float32)
        noisy: Any = cv2.add(cv2.GaussianBlur(canvas, (0, 0), 0.7), noise, dtype=cv2.CV_8U)
        return noisy  # type: ignore[no-any-return]

    def _paint_sky(self) -> Canvas:
        height, width = self._options.height, self._options.width
        rows = np.linspace(8, 46, height, dtype=np.float32)[:, None]
        clouds = cv2.resize(
            self._rng.normal(0, 1, (10, 6)).astype(np.float32),
            (width, height),
            interpolation=cv2.INTER_CUBIC,
        )
        sky: Canvas = np.clip(rows + 7 * clouds, 0, 255).astype(np.uint8)
        return sky

    def _point(self, side: float, up: float, ahead: float) -> tuple[int, int]:
        """Project metres to pixels."""
        height, width = self._options.height, self._options.width
        x = width / 2 + self._focal * side / ahead
        y = HORIZON * height + self._focal * (CAMERA_HEIGHT_M - up) / ahead
        return int(np.clip(x, -1e6, 1e6)), int(np.clip(y, -1e6, 1e6))

    def _quad(
        self, canvas: Canvas, sides: tuple[float, float], span: tuple[float, float], level: int
    ) -> None:
        """Fill a strip of ground between two sides and two distances."""
        near, far = max(span[0], 2.0), span[1]
        corners = [
            self._point(sides[0], 0, near),
            self._point(sides[1], 0, near),
            self._point(sides[1], 0, far),
            self._point(sides[0], 0, far),
        ]
        cv2.fillPoly(canvas, [np.array(corners, np.int32)], level, cv2.LINE_AA)

    def _paint_road(self, canvas: Canvas, travelled: float) -> None:
        height, width = self._options.height, self._options.width
        top = round(HORIZON * height)
        canvas[top:] = 96
        for sides, level in (((-7.5, -4.2), 150), ((4.2, 7.5), 150), ((-4.2, 4.2), 178)):
            self._quad(canvas, sides, (2.0, 400.0), level)
        for side in (-4.0, 4.0):
            self._quad(canvas, (side - 0.08, side + 0.08), (2.0, 90.0), 200)
        for start in np.arange(-(travelled % 9.0), 90.0, 9.0):
            if start + 3 > 2.0:
                self._quad(canvas, (-0.08, 0.08), (start, start + 3), 205)
        rows = np.arange(top + 1, height)
        metres = self._focal * CAMERA_HEIGHT_M / (rows - HORIZON * height) + travelled
        strips = self._texture[(metres * 6).astype(int) % 1024]
        grain = cv2.resize(strips, (width, len(rows)), interpolation=cv2.INTER_LINEAR)
        canvas[top + 1 :] = cv2.add(canvas[top + 1 :], grain, dtype=cv2.CV_8U)

    def _paint(self, canvas: Canvas, thing: _Thing, ahead: float, now_s: float) -> None:
        left, top = self._point(thing.side - thing.width / 2, thing.height, ahead)
        right, bottom = self._point(thing.side + thing.width / 2, 0, ahead)
        if right - left >= 2 and bottom - top >= 2:
            _PAINTERS[thing.kind](canvas, thing, (left, top, right, bottom), now_s)


def _scenery(rng: np.random.Generator, seconds: float) -> list[_Thing]:
    length = FARTHEST_M + SPEED_M_S * seconds
    things = []
    for ahead in np.arange(8.0, length, 7.0):
        for side in (-1, 1):
            away = ahead + rng.uniform(-2, 2)
            if rng.random() < 0.55:
                size = rng.uniform(4, 8)
                place = side * rng.uniform(9.5, 13)
                things.append(
                    _Thing("tree", place, away, size * 0.8, size, int(rng.integers(95, 140)))
                )
            else:
                place = side * rng.uniform(15, 18)
                tall = rng.uniform(4, 9)
                things.append(_Thing("house", place, away, 9, tall, int(rng.integers(120, 190))))
            if rng.random() < 0.12:
                things.append(_Thing("pole", side * 7.8, away, 0.25, 6.5, 150))
            if rng.random() < 0.25:
                stroll = rng.uniform(-1.3, 1.3)
                things.append(_Thing("person", side * 6.2, away, 0.6, 1.75, 235, stroll))
            if rng.random() < 0.35:
                things.append(_Thing("car", side * 5.4, away, 1.9, 1.5, int(rng.integers(90, 150))))
    for away, speed in ((22.0, SPEED_M_S + 0.4), (55.0, -9.0), (90.0, -10.0), (140.0, -9.0)):
        lane = 2.0 if speed > 0 else -2.0
        things.append(_Thing("car", lane, away, 1.9, 1.5, int(rng.integers(120, 170)), speed))
    return things


Box = tuple[int, int, int, int]


def _tree(canvas: Canvas, thing: _Thing, box: Box, now_s: float) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    middle = (left + right) // 2
    trunk = max(1, width // 14)
    cv2.rectangle(canvas, (middle - trunk, top + height // 2), (middle + trunk, bottom), 125, -1)
    # Leaves by the thing's own generator: the tree looks the same in every frame.
    rng = np.random.default_rng(int(abs(thing.side) * 1e4 + thing.width * 1e3))
    for _ in range(26):
        x = middle + int(rng.normal(0, 0.24) * width)
        y = top + int((0.34 + rng.normal(0, 0.16)) * height)
        radius = max(1, int(width * rng.uniform(0.08, 0.18)))
        cv2.circle(
            canvas, (x, y), radius, thing.level + int(rng.integers(-22, 23)), -1, cv2.LINE_AA
        )


def _house(canvas: Canvas, thing: _Thing, box: Box, now_s: float) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    cv2.rectangle(canvas, (left, top), (right, bottom), thing.level, -1)
    roof = np.array([(left - width // 12, top), (right + width // 12, top)], np.int32)
    peak = np.array([[(left + right) // 2, top - height // 4]], np.int32)
    cv2.fillPoly(canvas, [np.concatenate([roof, peak])], 70, cv2.LINE_AA)
    for row in (0.2, 0.58):
        for column in (0.12, 0.42, 0.72):
            corner = (left + int(column * width), top + int(row * height))
            end = (corner[0] + width // 7, corner[1] + height // 5)
            cv2.rectangle(canvas, corner, end, 80, -1)


def _pole(canvas: Canvas, thing: _Thing, box: Box, now_s: float) -> None:
    cv2.rectangle(canvas, box[:2], box[2:], thing.level, -1)


def _person(canvas: Canvas, thing: _Thing, box: Box, now_s: float) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    middle, thick = (left + right) // 2, max(1, width // 4)
    head = max(1, height // 12)
    cv2.circle(canvas, (middle, top + head), head, thing.level, -1, cv2.LINE_AA)
    hip = top + int(0.52 * height)
    cv2.ellipse(
        canvas, (middle, (top + 2 * head + hip) // 2), (max(1, width // 3), height // 5), 0, 0, 360,
        thing.level - 30, -1, cv2.LINE_AA,
    )  # fmt: skip
    swing = int(0.3 * width * np.sin(7 * now_s + thing.ahead))
    for foot in (middle - swing, middle + swing):
        cv2.line(canvas, (middle, hip), (foot, bottom), thing.level - 40, thick, cv2.LINE_AA)


def _car(canvas: Canvas, thing: _Thing, box: Box, now_s: float) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    cv2.ellipse(
        canvas,
        ((left + right) // 2, bottom),
        (width // 2, max(1, height // 10)),
        0,
        0,
        360,
        120,
        -1,
    )
    cabin = [
        (left + width // 5, top), (right - width // 5, top),
        (right - width // 12, top + height * 2 // 5), (left + width // 12, top + height * 2 // 5),
    ]  # fmt: skip
    cv2.fillPoly(canvas, [np.array(cabin, np.int32)], thing.level - 55, cv2.LINE_AA)
    cv2.rectangle(
        canvas, (left, top + height * 2 // 5), (right, bottom - height // 8), thing.level, -1
    )
    rear = ((left + width // 6, bottom - height // 3), (right - width // 6, bottom - height // 8))
    cv2.rectangle(canvas, *rear, min(255, thing.level + 70), -1)
    for wheel in (left + width // 7, right - width // 7):
        size = (max(1, width // 12), max(1, height // 7))
        cv2.ellipse(canvas, (wheel, bottom - height // 10), size, 0, 0, 360, 225, -1, cv2.LINE_AA)


_PAINTERS = {"tree": _tree, "house": _house, "pole": _pole, "person": _person, "car": _car}
