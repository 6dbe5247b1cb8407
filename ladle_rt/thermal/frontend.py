"""What happens to a thermal frame before any translator sees it, alike on CPU and GPU."""

from __future__ import annotations

from dataclasses import replace

from ladle_rt.config import TranslateOptions
from ladle_rt.frames import Frame, PreparedFrame
from ladle_rt.thermal.equalize import ClaheEqualizer, PlateauEqualizer
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.thermal.repair import DeadPixels, Stripes
from ladle_rt.thermal.shutter import ShutterDetector


class FrontEnd:
    """Shutter, then repairs, then the tone curve; in frame order, from one thread."""

    def __init__(self, options: TranslateOptions, spec: ThermalNormalization) -> None:
        """
        Args:
            options: ``agc``, ``dead_pixels``, ``stripes`` and ``shutter``.
            spec: the model's normalisation.
        """
        self._shutter = ShutterDetector() if options.shutter else None
        self._dead_pixels = DeadPixels() if options.dead_pixels else None
        self._stripes = Stripes() if options.stripes else None
        self._equalizer: PlateauEqualizer | ClaheEqualizer | None = None
        if options.agc == "plateau":
            self._equalizer = PlateauEqualizer()
        elif options.agc == "clahe":
            self._equalizer = ClaheEqualizer(spec)

    def process(self, frame: Frame) -> PreparedFrame:
        """Prepare one frame.

        Args:
            frame: HxW, uint8 or uint16; never written to.

        Returns:
            The frame to translate, or the reason to show the picture before it once more.
        """
        if self._shutter is not None and self._shutter.update(frame):
            return PreparedFrame(frame, "shutter")
        counts = frame.pixels
        if self._dead_pixels is not None:
            counts = self._dead_pixels.apply(counts)
        if self._stripes is not None:
            counts = self._stripes.apply(counts, frame.time_s)
        if self._equalizer is not None:
            pixels = self._equalizer.apply(counts, frame.time_s)
            return PreparedFrame(replace(frame, pixels=pixels, counts=counts))
        return PreparedFrame(frame if counts is frame.pixels else replace(frame, pixels=counts))


def prepare_still(frame: Frame, options: TranslateOptions, spec: ThermalNormalization) -> Frame:
    """One frame by itself, with what makes sense without those around it: stripes and ``agc``.

    Args:
        frame: HxW, uint8 or uint16; never written to.
        options: what to do.
        spec: the model's normalisation.
    """
    alone = replace(options, dead_pixels=False, shutter=False)
    return FrontEnd(alone, spec).process(frame).frame
