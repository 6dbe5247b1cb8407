"""All that happens to the frames of one run, alike for files, stills, arrays and live sources."""

from __future__ import annotations

from ladle_rt.config import TranslateOptions
from ladle_rt.frames import Frame, PreparedFrame
from ladle_rt.pipeline.unchanged import SkipUnchanged
from ladle_rt.thermal.frontend import FrontEnd
from ladle_rt.thermal.isotherm import IsothermSwitch
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.base import Translator
from ladle_rt.translate.postprocess import PostProcessingTranslator


class Processing:
    """The thermal front end before an engine, and the steps after it."""

    def __init__(
        self,
        translator: Translator,
        options: TranslateOptions,
        spec: ThermalNormalization,
        isotherm: IsothermSwitch | None = None,
    ) -> None:
        """
        Args:
            translator: the engine; belongs to `translator` from now on.
            options: what to do.
            spec: the model's normalisation.
            isotherm: switches hot regions on and off; ``None``: as in the options for ever.
        """
        self._front = FrontEnd(options, spec)
        self._skip = SkipUnchanged() if options.skip_unchanged else None
        self.translator = PostProcessingTranslator(translator, options, spec, isotherm)
        """To be closed by the caller."""

    def prepare(self, frame: Frame) -> PreparedFrame:
        """What to translate; in frame order, from one thread."""
        prepared = self._front.process(frame)
        if self._skip is None or prepared.hold is not None:
            return prepared
        return self._skip(prepared.frame)
