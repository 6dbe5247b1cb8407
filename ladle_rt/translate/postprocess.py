"""What happens to every picture after its engine: steadiness, palette, isotherm, drift warning."""

from __future__ import annotations

from ladle_rt.colour import picture_planes
from ladle_rt.config import TranslateOptions
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.thermal.drift import DriftWatch
from ladle_rt.thermal.isotherm import IsothermReader, IsothermSwitch
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.base import DelegatingTranslator, Translator
from ladle_rt.translate.colorize import draw_label
from ladle_rt.translate.overlay import paint_hot, paint_palette
from ladle_rt.translate.steady import Blender


class PostProcessingTranslator(DelegatingTranslator):
    """A `Translator` that works on another one's pictures, as they are collected.

    An engine that made a picture steady itself, as those on a GPU do, says so with it.
    The isotherm is painted over the steady picture, so that switching it shows at once, and the
    levels are those that the engine measured.
    """

    def __init__(
        self,
        inner: Translator,
        options: TranslateOptions,
        spec: ThermalNormalization,
        isotherm: IsothermSwitch | None = None,
    ) -> None:
        """
        Args:
            inner: belongs to this object.
            options: ``steady``, ``palette``, ``isotherm``, ``smoothing_s``, ``mark``, ``layout``
                and ``drift_warning``.
            spec: the model's normalisation.
            isotherm: switches hot regions on and off; ``None``: as in the options for ever.
        """
        super().__init__(inner)
        self._options = options
        self._switch = isotherm or IsothermSwitch(options.isotherm)
        self._hot = IsothermReader(self._switch.isotherm, options.smoothing_s)
        self._blender = Blender(options.steady, spec, options.layout) if options.steady else None
        self._drift = DriftWatch(spec) if options.drift_warning else None

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        """The next result, finished; see `Translator.collect`.

        Raises:
            InputError: an isotherm in degrees, of a source that does not know them.
        """
        result = self._engine.collect(timeout_s)
        frame, picture, thermal = result.frame, result.picture, result.thermal
        if self._drift is not None and thermal is not None:
            self._drift.update(thermal, frame.time_s)
        if self._blender is not None:
            if result.steady:
                # What an engine before this one showed is out of date.
                self._blender.forget()
            else:
                levels = None if thermal is None else thermal.levels
                picture = self._blender.blend(frame, picture, levels)
        beside = self._options.layout == "side-by-side"
        if beside and self._options.palette != "white-hot":
            paint_palette(picture, self._options.palette)
        if self._switch.on:
            self._mark_hot(frame, picture, picture.width // 2 if beside else 0)
        return TranslatedFrame(frame, picture, thermal, result.steady)

    def _mark_hot(self, frame: Frame, picture: Picture, left: int) -> None:
        hot = self._hot.read(frame)
        if hot is None:
            return
        isotherm = self._switch.isotherm
        paint_hot(picture, hot, isotherm.palette, isotherm.style, left)
        if self._options.mark:
            # Heat may not hide that the colours are synthetic.
            planar = picture.format == "yuv420p"
            draw_label(picture_planes(picture)[0], *((16, 235) if planar else (0, 255)))
