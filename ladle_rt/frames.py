"""The words that travel from a source to a sink."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ladle_rt.temperature import Temperatures

ThermalPixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""Thermal intensities, HxW, uint8 or uint16, larger is hotter."""

PixelFormat = Literal["rgb24", "yuv420p"]
"""How a picture is laid out; see `Picture.data`."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What a frame's histogram says, in the frame's own counts."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class Frame:
    """One thermal frame as captured.

    The consumer owns ``pixels``: a source never writes to them again.
    """

    pixels: ThermalPixels
    """HxW, uint8 or uint16 intensities in any range."""
    sequence: int
    """Position in the source, from 0, without gaps."""
    timestamp_ns: int
    """When the frame was captured, nanoseconds on the monotonic clock."""
    pts: int | None = None
    """The source's own presentation time, in units of ``time_base``."""
    time_base: Fraction | None = None
    """Seconds per unit of ``pts``."""
    fault: str | None = None
    """Why the pixels cannot be used, for example a short buffer; such a frame is counted and
    dropped, and its ``pixels`` may be empty."""
    missed: int = 0
    """Frames right before this one that the camera made and nobody took in time."""
    counts: ThermalPixels | None = None
    """What isotherms and temperatures are read from, where a tone curve changed ``pixels``."""
    celsius: Temperatures | None = None
    """What the counts are in degrees, where the source knows; larger is hotter."""

    @property
    def time_s(self) -> float:
        """Presentation time in seconds: the source's own where it has one, else capture time."""
        if self.pts is not None and self.time_base is not None:
            # What float(pts * time_base) is, to the last bit, without the fraction in between.
            return self.pts * self.time_base.numerator / self.time_base.denominator
        return self.timestamp_ns * 1e-9


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """A frame as the thermal front end hands it on."""

    frame: Frame
    """To be translated."""
    hold: str | None = None
    """Why the picture before it is shown once more instead: ``shutter``, ``unchanged``."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A colour picture ready for a sink."""

    format: PixelFormat
    data: npt.NDArray[np.uint8]
    """``rgb24``: HxWx3, sRGB. ``yuv420p``: (H*3/2)xW, planes Y, U, V one after another,
    BT.709 limited range, H and W even. C-contiguous."""
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ThermalImage:
    """The thermal image that a network was shown, at full size."""

    pixels: ThermalPixels
    """HxW counts, after repairs and tone curve; only to be read."""
    levels: Levels
    """What they were normalised with: measured once, by the translator."""


@dataclass(frozen=True, slots=True)
class TranslatedFrame:
    """A frame and the colour picture made from it."""

    frame: Frame
    picture: Picture
    thermal: ThermalImage | None = None
    """What the network saw; ``None`` of translators that do not say."""
    steady: bool = False
    """Whether flicker suppression is done; otherwise it is left to what comes after."""


@dataclass(frozen=True, slots=True)
class MediaPart:
    """The part of a media file that frames come from: where its sound, chapters and tags are."""

    path: Path
    """The file."""
    origin_s: Fraction = Fraction(0)
    """Time in the file, seconds, that is presentation time 0."""
    begin_s: Fraction | None = None
    """What comes before is left out, seconds of presentation time."""
    end_s: Fraction | None = None
    """What comes later is left out, seconds of presentation time."""
