"""Thermal normalisation: the one piece of code that training and run time share.

Thermal cameras differ in gain, offset and tone curve: one delivers 16-bit counts that fill
two per cent of their range, another 8-bit pictures whose median is nearly black. A model sees
none of that. Each frame is stretched between two of its own percentiles and bent by a power
so that its median lands near a fixed value:

    u = clip((v - low) / max(high - low, min_span), 0, 1)
    t = u ** gamma,   gamma = clip(log(mid_target) / log(u(median)), 1/gamma_limit, gamma_limit)

The parameters are part of a model (its JSON carries them); `normalize` is a pure function,
`LevelTracker` the stateful wrapper that keeps live levels from pumping.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.errors import ConfigError, shown
from ladle_rt.frames import Levels, ThermalPixels


@dataclass(frozen=True, slots=True)
class FollowedLevels:
    """Where a `LevelTracker` stands, on a CPU or a GPU: another one can go on from there."""

    levels: Levels
    time_s: float
    """Of the frame they were last updated with."""


@dataclass(frozen=True, slots=True)
class ThermalNormalization:
    """How raw counts become the network's input in [0, 1]."""

    low_percentile: float = 0.5
    """Percentile (0-100) of the frame that maps to 0."""
    high_percentile: float = 99.5
    """Percentile (0-100) of the frame that maps to 1."""
    mid_target: float = 0.45
    """Where the median should land, in (0, 1)."""
    gamma_limit: float = 2.0
    """The power stays within [1/gamma_limit, gamma_limit]; 1 switches it off."""
    min_span: float = 8.0
    """Smallest high - low, in counts: a flat frame is not blown up into noise."""

    def __post_init__(self) -> None:
        if not 0 <= self.low_percentile < self.high_percentile <= 100:
            raise ConfigError(
                "thermal percentiles must satisfy 0 <= low < high <= 100, "
                f"received {self.low_percentile} and {self.high_percentile}"
            )
        if not 0 < self.mid_target < 1:
            raise ConfigError(f"mid_target must be in (0, 1), received {self.mid_target}")
        if not 1 <= self.gamma_limit < math.inf:
            raise ConfigError(f"gamma_limit must be >= 1 and finite, received {self.gamma_limit}")
        if not 0 < self.min_span < math.inf:
            raise ConfigError(f"min_span must be > 0 and finite, received {self.min_span}")

    def to_dict(self) -> dict[str, float]:
        """The fields as JSON-ready numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ThermalNormalization:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: unknown, missing or non-numeric fields, or values out of range.
        """
        expected = set(cls.__dataclass_fields__)
        if set(values) != expected:
            raise ConfigError(
                f"thermal normalisation needs the fields {sorted(expected)}, "
                f"received {shown(sorted(values), 200)}"
            )
        try:
            return cls(**{key: float(value) for key, value in values.items()})
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigError(
                f"thermal normalisation fields must be numbers: {shown(error, 200)}"
            ) from error


def measure_levels(pixels: ThermalPixels, spec: ThermalNormalization) -> Levels:
    """Percentiles of one frame.

    Args:
        pixels: HxW, uint8 or uint16; the frame at network size is enough.
        spec: the model's normalisation.

    Returns:
        Levels in counts; each is a value that occurs in the frame (no interpolation), so
        that a histogram on any device finds the same number.
    """
    cumulative = cumulative_histogram(pixels)
    ranks = np.array([spec.low_percentile, 50.0, spec.high_percentile]) / 100 * pixels.size
    low, mid, high = np.searchsorted(cumulative, np.maximum(np.ceil(ranks), 1))
    return Levels(float(low), float(mid), float(high))


def cumulative_histogram(pixels: ThermalPixels) -> npt.NDArray[Any]:
    """How many pixels of HxW, uint8 or uint16, are at most 0, 1, 2 and so on."""
    if pixels.dtype == np.uint8:
        # Ten times as fast as bincount, which first widens every pixel.
        histogram: Any = cv2.calcHist([pixels], [0], None, [256], [0, 256]).reshape(-1)
    else:
        histogram = np.bincount(pixels.reshape(-1))
    return np.cumsum(histogram)


def gamma_for(levels: Levels, spec: ThermalNormalization) -> float:
    """The power that brings the median to ``spec.mid_target``, within its limits."""
    span = max(levels.high - levels.low, spec.min_span)
    mid = (levels.mid - levels.low) / span
    if not 0 < mid < 1:
        return 1.0
    wanted = math.log(spec.mid_target) / math.log(mid)
    return min(max(wanted, 1 / spec.gamma_limit), spec.gamma_limit)


def apply_levels(
    pixels: ThermalPixels, levels: Levels, spec: ThermalNormalization
) -> npt.NDArray[np.float32]:
    """Map counts to [0, 1] with given levels.

    Args:
        pixels: HxW (or any shape), uint8 or uint16.

    Returns:
        float32 of the same shape, in [0, 1].
    """
    if pixels.dtype == np.uint8:
        table = _curve(np.arange(256, dtype=np.float32), levels, spec)
        looked_up: Any = cv2.LUT(pixels, table)
        return looked_up  # type: ignore[no-any-return]
    if pixels.size > 1 << 16:
        return _curve(np.arange(1 << 16, dtype=np.float32), levels, spec)[pixels]
    return _curve(pixels.astype(np.float32), levels, spec)


def normalize(pixels: ThermalPixels, spec: ThermalNormalization) -> npt.NDArray[np.float32]:
    """Normalise one frame by its own levels: `measure_levels`, then `apply_levels`."""
    return apply_levels(pixels, measure_levels(pixels, spec), spec)


def _curve(
    values: npt.NDArray[np.float32], levels: Levels, spec: ThermalNormalization
) -> npt.NDArray[np.float32]:
    span = max(levels.high - levels.low, spec.min_span)
    unit = np.clip((values - np.float32(levels.low)) * np.float32(1 / span), 0, 1)
    result: npt.NDArray[np.float32] = np.power(unit, np.float32(gamma_for(levels, spec)))
    return result


class LevelTracker:
    """Levels that follow a video slowly, so that the picture does not pump.

    Each level follows the measured one exponentially with a time constant; a scene cut
    (measured and tracked ranges overlap by less than `CUT_OVERLAP`) is taken over at once.
    Call it in frame order, from one thread.
    """

    CUT_OVERLAP = 0.3

    def __init__(
        self,
        spec: ThermalNormalization,
        smoothing_s: float = 1.0,
        fixed_range: tuple[float, float] | None = None,
    ) -> None:
        """
        Args:
            spec: the model's normalisation.
            smoothing_s: time constant in seconds; 0 follows every frame at once.
            fixed_range: low and high level of every frame, counts; only the median is followed.

        Raises:
            ConfigError: a negative time constant.
        """
        if not smoothing_s >= 0:
            raise ConfigError(f"smoothing_s must be >= 0, received {smoothing_s}")
        self._spec = spec
        self._smoothing_s = smoothing_s
        self._fixed_range = fixed_range
        self._levels: Levels | None = None
        self._time_s = 0.0

    @property
    def followed(self) -> FollowedLevels | None:
        """Where it stands; ``None`` before the first frame."""
        return None if self._levels is None else FollowedLevels(self._levels, self._time_s)

    def resume(self, followed: FollowedLevels) -> None:
        """Go on from where another one stood."""
        self._levels, self._time_s = followed.levels, followed.time_s

    def update(self, pixels: ThermalPixels, time_s: float) -> Levels:
        """Measure a frame and return the levels to use for it.

        Args:
            pixels: HxW, uint8 or uint16.
            time_s: the frame's presentation time, seconds; a jump backwards restarts.
        """
        measured = measure_levels(pixels, self._spec)
        if self._fixed_range is not None:
            low, high = self._fixed_range
            measured = Levels(low, min(max(measured.mid, low), high), high)
        previous, elapsed_s = self._levels, time_s - self._time_s
        self._time_s = time_s
        if (
            previous is None
            or self._smoothing_s == 0
            or elapsed_s < 0
            or _overlap(previous, measured, self._spec.min_span) < self.CUT_OVERLAP
        ):
            self._levels = measured
        else:
            keep = math.exp(-elapsed_s / self._smoothing_s)
            self._levels = Levels(
                *(
                    keep * old + (1 - keep) * new
                    for old, new in zip(
                        (previous.low, previous.mid, previous.high),
                        (measured.low, measured.mid, measured.high),
                        strict=True,
                    )
                )
            )
        return self._levels


def _overlap(a: Levels, b: Levels, min_span: float) -> float:
    """Shared part of two ranges over the wider one, each at least ``min_span`` wide."""
    shared = min(max(a.high, a.low + min_span), max(b.high, b.low + min_span)) - max(a.low, b.low)
    return max(shared, 0.0) / max(a.high - a.low, b.high - b.low, min_span)
