"""What counts are in degrees Celsius, where a source knows it.

A scale belongs to the counts of one frame as it is delivered: whoever shifts, stretches or inverts
counts gives the frame the scale that fits the new ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ladle_rt.errors import ConfigError

KELVIN_0 = -273.15
"""Absolute zero, degrees C."""


@dataclass(frozen=True, slots=True)
class CelsiusScale:
    """A straight line: degrees C = ``gain`` x count + ``offset``."""

    gain: float
    """Degrees per count; below 0 where larger counts are colder."""
    offset: float
    """Degrees at count 0."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and math.isfinite(self.offset)) or not self.gain:
            raise ConfigError(
                "a temperature scale must be finite with a gain other than 0, "
                f"received {self.gain:g} and {self.offset:g}"
            )

    @property
    def rises(self) -> bool:
        """Whether larger counts are hotter."""
        return self.gain > 0

    def counts(self, celsius: float) -> float:
        """The count of a temperature; may lie beyond those that a frame can hold."""
        return (celsius - self.offset) / self.gain

    def celsius(self, count: float) -> float:
        """The temperature of a count."""
        return self.gain * count + self.offset

    def rebased(self, start: float, step: float) -> CelsiusScale:
        """Of new counts ``n`` that stand for the old values ``start + step * n``."""
        return CelsiusScale(self.gain * step, self.offset + self.gain * start)


@dataclass(frozen=True, slots=True)
class PlanckScale:
    """FLIR's calibration: the counts of a black body, seen through air and reflections.

    ``T = B / ln(R1 / (R2 (S + O)) + F)`` kelvin, where ``S = slope x count - shift`` is the
    signal of the object itself. The constants are those of ExifTool's FLIR tags, the formula is
    the one of FLIR's cameras as published by Minkina and Dudzik, "Infrared Thermography: Errors
    and Uncertainties", 2009, and used by the R package Thermimage (``raw2temp``).
    """

    r1: float
    r2: float
    b: float
    f: float
    o: float
    slope: float = 1.0
    """1 over the share of the signal that is the object's own: emissivity x transmission."""
    shift: float = 0.0
    """Counts that air, optics and reflections add, over the same share."""

    rises = True
    """Larger counts are hotter."""

    def counts(self, celsius: float) -> float:
        """The count of a temperature; that of absolute zero for what lies below it."""
        return (self.signal(celsius) + self.shift) / self.slope

    def signal(self, celsius: float) -> float:
        """The counts of a black body of a temperature, right before the lens."""
        kelvin = max(celsius - KELVIN_0, 1.0)
        # Beyond the exponent of a float the radiation is 0 anyway.
        return self.r1 / (self.r2 * (math.exp(min(self.b / kelvin, 600)) - self.f)) - self.o

    def celsius(self, count: float) -> float:
        """The temperature of a count; absolute zero where there is less signal than none."""
        signal = self.slope * count - self.shift + self.o
        if signal <= 0:
            return KELVIN_0
        return self.b / math.log(self.r1 / (self.r2 * signal) + self.f) + KELVIN_0


Temperatures = CelsiusScale | PlanckScale
"""Degrees of counts; both have ``rises``, ``counts`` and ``celsius``."""

KELVIN_64 = CelsiusScale(1 / 64, KELVIN_0)
"""InfiRay's 256x192 modules (TC001, P2 Pro): 64ths of a kelvin."""
UNITS = {
    "celsius": CelsiusScale(1, 0),
    "celsius/10": CelsiusScale(0.1, 0),
    "celsius/100": CelsiusScale(0.01, 0),
    "kelvin": CelsiusScale(1, KELVIN_0),
    "kelvin/10": CelsiusScale(0.1, KELVIN_0),
    "kelvin/64": KELVIN_64,
    "kelvin/100": CelsiusScale(0.01, KELVIN_0),
    "optris": CelsiusScale(0.1, -100),
}
"""What values may be said to be: ``kelvin/100`` is TLinear of FLIR's Lepton and Tau, ``optris``
(value - 1000) / 10 of Optris' byte pairs, as the header of its own driver says
(``optris_drivers``, ``PIImager.h``, ``acquire``)."""


def parse_scale(text: str) -> CelsiusScale:
    """A scale as people write it: one of `UNITS`, or ``GAIN,OFFSET``.

    Raises:
        ConfigError: neither.
    """
    if (known := UNITS.get(text.strip().lower())) is not None:
        return known
    try:
        gain, offset = map(float, text.split(","))
    except ValueError:
        raise ConfigError(
            f"a temperature scale must be one of {', '.join(UNITS)} or GAIN,OFFSET, "
            f"received {text!r}"
        ) from None
    return CelsiusScale(gain, offset)
