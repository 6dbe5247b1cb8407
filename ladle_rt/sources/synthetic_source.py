"""A synthetic thermal drive, for trying things out without a camera or a recording.

It has the grey levels of real long-wave infrared footage by day, and the row noise of an uncooled
sensor. The same drive can be seen in daylight colours, for pairs to train with.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.closing import Closing
from ladle_rt.errors import ConfigError, InputError
from ladle_rt.frames import Frame
from ladle_rt.sources.base import Source, SourceInfo, SourceOptions
from ladle_rt.sources.drive.drive_palettes import DAYLIGHT, THERMAL
from ladle_rt.sources.drive.drive_scene import make_scene
from ladle_rt.sources.drive.painter import ScenePainter
from ladle_rt.sources.pacing import LoopSource, RealtimeSource

Image = npt.NDArray[np.uint8]

PATTERN_S = 20.0
"""Length of the drive that is repeated where the pattern stands in for a camera."""
PAIR_INTERVAL_S = 0.8
"""Time from one pair to the next: far enough for another view."""


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


class SyntheticSource(Closing):
    """A `Source` of 8-bit frames, the same for the same options."""

    def __init__(self, options: DriveOptions | None = None) -> None:
        self._options = options or DriveOptions()
        options = self._options
        self._rng = np.random.default_rng(options.seed)
        scene = make_scene(self._rng, options.seconds)
        self._painter = ScenePainter(scene, THERMAL, options.width, options.height)
        self._count = max(1, round(options.seconds * options.rate))

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
            pixels = _sensed(self._painter.paint(number / self._options.rate), self._rng)
            yield Frame(pixels, number, time.monotonic_ns(), number, time_base)

    def close(self) -> None:
        """Nothing to release."""


def open_pattern(form: str, options: SourceOptions) -> Source:
    """Drive without end, at the pattern's own pace.

    Args:
        form: ``WxH@FPS``, any part of it, or nothing.
        options: ``width``, ``height`` and ``fps`` count where ``form`` does not say.

    Raises:
        InputError: not such a form.
    """
    found = re.fullmatch(r"(?:(\d+)x(\d+))?(?:@(\d+))?", form)
    if found is None:
        raise InputError(f"synthetic:{form}: expected synthetic[:WIDTHxHEIGHT][@FPS]")
    names = ("width", "height", "rate")
    asked: dict[str, int | None] = {"width": options.width, "height": options.height}
    asked["rate"] = None if options.fps is None else max(1, round(options.fps))
    for name, part in zip(names, found.groups(), strict=True):
        asked[name] = asked[name] if part is None else int(part)
    given = {name: value for name, value in asked.items() if value is not None}
    drive = DriveOptions(seconds=PATTERN_S, **given)
    return RealtimeSource(LoopSource(lambda: SyntheticSource(drive)))


class SyntheticPair(NamedTuple):
    """One moment of a drive, seen by two cameras at one place."""

    thermal: Image
    """HxW grey levels."""
    visible: Image
    """HxWx3 sRGB."""


def synthetic_pairs(width: int, height: int, seed: int, count: int) -> Iterator[SyntheticPair]:
    """Pairs along one drive, the same for the same arguments.

    Raises:
        ConfigError: see `DriveOptions`.
    """
    options = DriveOptions(width, height, seconds=count * PAIR_INTERVAL_S, seed=seed)
    rng = np.random.default_rng(options.seed)
    scene = make_scene(rng, options.seconds)
    thermal, daylight = (ScenePainter(scene, p, width, height) for p in (THERMAL, DAYLIGHT))
    for number in range(count):
        now_s = number * PAIR_INTERVAL_S
        yield SyntheticPair(_sensed(thermal.paint(now_s), rng), daylight.paint(now_s))


def _sensed(view: Image, rng: np.random.Generator) -> Image:
    """A view with the noise of an uncooled sensor, pixel by pixel and row by row."""
    height, width = view.shape
    noise = rng.normal(0, 1.6, (height, width)).astype(np.float32)
    noise += rng.normal(0, 0.8, (height, 1)).astype(np.float32)
    noisy: Image = cv2.add(view, noise, dtype=cv2.CV_8U)  # type: ignore[assignment]
    return noisy
