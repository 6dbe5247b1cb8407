"""What happens to a thermal frame before any translator sees it, alike on CPU and GPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from ladle_rt.errors import ConfigError
from ladle_rt.frames import Frame, Prepared
from ladle_rt.thermal.drift import DriftWatch
from ladle_rt.thermal.equalize import ClaheEqualizer, PlateauEqualizer
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.thermal.repair import DeadPixels, Stripes
from ladle_rt.thermal.shutter import ShutterDetector

Agc = Literal["percentile", "fixed", "plateau", "clahe"]


@dataclass(frozen=True, slots=True)
class FrontEndOptions:
    """What is done to thermal frames."""

    agc: Agc = "percentile"
    """``percentile``: the model's own normalisation alone. ``fixed``: between two counts.
    ``plateau``, ``clahe``: equalised first."""
    fixed_range: tuple[float, float] | None = None
    """Counts that map to black and white, for ``fixed``; see `TranslateOptions.fixed_range`."""
    dead_pixels: bool = False
    """Replace stuck pixels."""
    stripes: bool = False
    """Take fixed offsets of rows and columns out."""
    shutter: bool = True
    """Hold the picture while the shutter is closed."""
    drift_warning: bool = True
    """Warn when frames are unlike the training data."""

    def __post_init__(self) -> None:
        if self.agc not in get_args(Agc):
            raise ConfigError(f"agc must be one of {get_args(Agc)}, received {self.agc!r}")
        if (self.fixed_range is not None) != (self.agc == "fixed"):
            raise ConfigError("agc 'fixed' and only it needs a fixed range: fixed:LOW:HIGH")

    @classmethod
    def parse(
        cls, agc: str, *, dead_pixels: bool = False, stripes: bool = False, shutter: bool = True
    ) -> FrontEndOptions:
        """Options from what is typed after ``--agc``.

        Raises:
            ConfigError: not percentile, fixed:LOW:HIGH, plateau or clahe.
        """
        mode, _, rest = agc.partition(":")
        low, _, high = rest.partition(":")
        try:
            span = (float(low), float(high)) if mode == "fixed" else None
            known = mode in get_args(Agc) and (mode == "fixed" or not rest)
        except ValueError:
            known = False
        if not known:
            raise ConfigError(
                f"agc must be percentile, fixed:LOW:HIGH, plateau or clahe, received {agc!r}"
            )
        return cls(mode, span, dead_pixels, stripes, shutter)  # type: ignore[arg-type]


class FrontEnd:
    """Shutter, then repairs, then the tone curve; in frame order, from one thread."""

    def __init__(self, options: FrontEndOptions, spec: ThermalNormalization) -> None:
        """
        Args:
            options: what to do.
            spec: the model's normalisation.
        """
        self._shutter = ShutterDetector() if options.shutter else None
        self._dead_pixels = DeadPixels() if options.dead_pixels else None
        self._stripes = Stripes() if options.stripes else None
        self._drift = DriftWatch(spec) if options.drift_warning else None
        self._equalizer: PlateauEqualizer | ClaheEqualizer | None = None
        if options.agc == "plateau":
            self._equalizer = PlateauEqualizer()
        elif options.agc == "clahe":
            self._equalizer = ClaheEqualizer(spec)

    def process(self, frame: Frame) -> Prepared:
        """Prepare one frame.

        Args:
            frame: HxW, uint8 or uint16; never written to.

        Returns:
            The frame to translate, or the reason to show the picture before it once more.
        """
        if self._shutter is not None and self._shutter.update(frame):
            return Prepared(frame, "shutter")
        pixels = frame.pixels
        if self._dead_pixels is not None:
            pixels = self._dead_pixels.apply(pixels)
        if self._stripes is not None:
            pixels = self._stripes.apply(pixels, frame.time_s)
        if self._equalizer is not None:
            pixels = self._equalizer.apply(pixels, frame.time_s)
        prepared = frame if pixels is frame.pixels else replace(frame, pixels=pixels)
        if self._drift is not None:
            self._drift.update(prepared)
        return Prepared(prepared)
