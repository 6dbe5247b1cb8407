"""What happens to every picture after its engine: steadiness, palette, isotherm, drift warning."""

from __future__ import annotations

from types import TracebackType

from ladle_rt.config import Layout, TranslateOptions
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.thermal.drift import DriftWatch
from ladle_rt.thermal.isotherm import IsothermReader, IsothermSwitch
from ladle_rt.thermal.normalization import FollowedLevels, ThermalNormalization
from ladle_rt.translate.base import Translator
from ladle_rt.translate.colorize import draw_label
from ladle_rt.translate.overlay import paint_hot, paint_palette
from ladle_rt.translate.steady import Blender, picture_planes


class PostProcessingTranslator:
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
        self._inner = inner
        self._options = options
        self._switch = isotherm or IsothermSwitch(options.isotherm)
        self._hot = IsothermReader(self._switch.isotherm, options.smoothing_s)
        self._blender = Blender(options.steady, spec, options.layout) if options.steady else None
        self._drift = DriftWatch(spec) if options.drift_warning else None

    @property
    def name(self) -> str:
        """The inner engine's."""
        return self._inner.name

    @property
    def depth(self) -> int:
        """The inner engine's."""
        return self._inner.depth

    @property
    def network_size(self) -> tuple[int, int]:
        """See `Translator.network_size`."""
        return self._inner.network_size

    @property
    def layout(self) -> Layout:
        """The inner engine's."""
        return self._inner.layout

    def resize(self, size: tuple[int, int]) -> None:
        """See `Translator.resize`."""
        self._inner.resize(size)

    def supports(self, frame: tuple[int, int], box: tuple[int, int]) -> bool:
        """See `Translator.supports`."""
        return self._inner.supports(frame, box)

    def submit(self, frame: Frame) -> int:
        """See `Translator.submit`."""
        return self._inner.submit(frame)

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        """The next result, finished; see `Translator.collect`.

        Raises:
            InputError: an isotherm in degrees, of a source that does not know them.
        """
        result = self._inner.collect(timeout_s)
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

    def followed_levels(self) -> FollowedLevels | None:
        """The inner engine's."""
        return self._inner.followed_levels()

    def resume_levels(self, followed: FollowedLevels) -> None:
        """See `Translator.resume_levels`."""
        self._inner.resume_levels(followed)

    def close(self) -> None:
        """Close the inner engine."""
        self._inner.close()

    def __enter__(self) -> PostProcessingTranslator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
