"""All that happens to the frames of one run, alike for files, stills, arrays and live sources."""

from __future__ import annotations

import threading

from ladle_rt.config import TranslateOptions
from ladle_rt.frames import Frame, PreparedFrame
from ladle_rt.pipeline.skip_unchanged import SkipUnchanged
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sources.base import SourceInfo
from ladle_rt.thermal.frontend import FrontEnd
from ladle_rt.thermal.isotherm import IsothermSwitch
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.base import Translator
from ladle_rt.translate.postprocess import PostProcessingTranslator


def sink_context(
    info: SourceInfo, options: TranslateOptions, overwrite: bool, stop: threading.Event
) -> SinkContext:
    """What sinks may know of a source's pictures; see `SinkContext` for ``stop``."""
    return SinkContext(
        width=info.width,
        height=info.height,
        rate=info.rate,
        time_base=info.time_base,
        sample_aspect_ratio=info.sample_aspect_ratio,
        overwrite=overwrite,
        encoding=options.encoding,
        media=info.media,
        sound=options.sound,
        stop=stop,
    )


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
