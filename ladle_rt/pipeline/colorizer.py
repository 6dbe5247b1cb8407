"""A model as a function of arrays: one picture, many, or a stream of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import overload

import numpy as np
import numpy.typing as npt

from ladle_rt.closing import Closing
from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError, ConfigError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.models.artifact import ModelArtifact, ModelInfo
from ladle_rt.pipeline.array_frames import (
    ThermalArray,
    frame_size,
    single_frames,
    timed_frames,
)
from ladle_rt.pipeline.overlap import overlap
from ladle_rt.pipeline.processing import Processing
from ladle_rt.thermal.arrays import (
    LARGEST_COUNT,
    FloatRange,
    Plane,
    Range,
    check_plane,
    check_planes,
    check_range,
    to_counts,
)
from ladle_rt.thermal.frontend import prepare_still
from ladle_rt.thermal.polarity import Polarity, check_polarity
from ladle_rt.thermal.validity import ValidScene
from ladle_rt.translate.base import Translator
from ladle_rt.translate.network_size import Size
from ladle_rt.translate.postprocess import PostProcessingTranslator
from ladle_rt.translate.select import FOR_ARRAYS, TranslatorFactory

ColourArray = npt.NDArray[np.uint8]
"""HxWx3 uint8, sRGB, C-contiguous; of a batch [N,H,W,3]. Belongs to the caller."""

FRAMES_PER_SECOND = 25.0
"""Of arrays in a stream, which do not say when they were taken."""


class Colorizer(Closing):
    """Turns thermal arrays into colour pictures of the same size; made by `ladle_rt.load`.

    The colours are synthesised, not measured.

    A call translates pictures by themselves, each with its own thermal levels; `stream` follows
    levels over time and keeps still parts still. Floats are laid over the counts of uint16 in a
    straight line: in a call from each picture's smallest value to its largest, in a stream by
    one line for all, see `ladle_rt.thermal.arrays.FloatRange`. With a fixed range the values of
    any dtype are, from its low end to its high one.

    The engine for a size of picture is made with the first one, which takes a moment, and made
    again when the size of the network's input changes. Where nothing else was chosen, calls work
    in the quality ``best`` and streams in ``balanced``.

    Threads: every method may be called from any thread. Calls take turns: one at a time is
    translated, on all cores that ``threads`` allows. Each stream has an engine of its own, so
    streams run beside each other and beside calls; one stream is iterated from one thread at a
    time. A context manager; `close` ends open streams as well.
    """

    def __init__(
        self,
        artifact: ModelArtifact,
        options: TranslateOptions,
        fixed_range: Range | None = None,
        polarity: Polarity = "white-hot",
    ) -> None:
        """
        Args:
            artifact: the model.
            options: how to translate; ``smoothing_s`` and ``steady`` count in streams only.
            fixed_range: values that are black and white in every picture, in the unit of the
                arrays; ``None``: as in ``options``, where they are counts.
            polarity: of arrays; ``auto`` looks at each picture, in a stream at the first.
                Frames are white-hot: their source was asked.

        Raises:
            ConfigError: a fixed range or a polarity that is none.
        """
        check_polarity(polarity)
        self._polarity: Polarity = polarity
        self._valid = ValidScene("thermal")
        self._fixed_range = fixed_range or options.fixed_range
        if self._fixed_range is not None:
            check_range(self._fixed_range)
            options = replace(options, fixed_range=(0.0, float(LARGEST_COUNT)))
        self._info = artifact.info
        self._options = options
        self._stills = replace(options, smoothing_s=0.0, steady=0.0, drift_warning=False)
        self._for_calls = TranslatorFactory(artifact, self._stills, "best", FOR_ARRAYS)
        self._for_streams = TranslatorFactory(artifact, options, "balanced", FOR_ARRAYS)
        self._turn = threading.Lock()
        """Held by the call that is being translated."""
        self._engine: Translator | None = None
        """For calls; this and the next change under `_turn`."""
        self._made_for: object = None
        self._guard = threading.Lock()
        """Held for a moment, around the next two."""
        self._streaming: set[Translator] = set()
        self._closed = False

    @property
    def info(self) -> ModelInfo:
        """The model's facts: name, training data and terms, measured quality."""
        return self._info

    @overload
    def __call__(self, thermal: ThermalArray) -> ColourArray: ...

    @overload
    def __call__(self, thermal: list[ThermalArray]) -> list[ColourArray]: ...

    @overload
    def __call__(self, thermal: tuple[ThermalArray, ...]) -> tuple[ColourArray, ...]: ...

    def __call__(
        self, thermal: ThermalArray | list[ThermalArray] | tuple[ThermalArray, ...]
    ) -> ColourArray | list[ColourArray] | tuple[ColourArray, ...]:
        """Translate one picture, or several at the same time.

        Args:
            thermal: see `ThermalArray`; or a list or tuple of single pictures, which may differ
                in size and dtype. Only read, and only during the call.

        Returns:
            See `ColourArray`; a batch for a batch, a list for a list, a tuple for a tuple.
            As high and wide as the input; twice as wide in the layout ``side-by-side``.

        Raises:
            InputError: not a thermal picture: another shape or dtype, empty, in colour, or
                NaN alone; also a `ValueError`. Found before anything is translated.
            BackendError: closed, or the engine cannot run; also a `RuntimeError`.
            MissingDependencyError: a backend was asked for that is not installed; also an
                `ImportError`.
            ModelError: the model cannot be used; also a `ValueError`.
        """
        if isinstance(thermal, (list, tuple)):
            pictures = self._translate(
                [check_plane(one, f"thermal[{n}]") for n, one in enumerate(thermal)]
            )
            return tuple(pictures) if isinstance(thermal, tuple) else pictures
        planes, batch = check_planes(thermal)
        pictures = self._translate(planes)
        return np.stack(pictures) if batch else pictures[0]

    def stream(
        self,
        frames: Iterable[ThermalArray | Frame],
        *,
        fps: float = FRAMES_PER_SECOND,
        steady: float | None = None,
    ) -> Generator[ColourArray, None, None]:
        """Translate pictures that follow each other in time, several at once, in order.

        Args:
            frames: single pictures as in `ThermalArray`, all of one size, or frames with their
                own time, as `ladle_rt.read_video` and every source give them; frames with a
                ``fault`` are left out. Asked for as the pictures are, a few ahead of them. An
                array is copied and may be used again at once; a frame's pixels are only read.
            fps: frames per second of arrays.
            steady: strength of flicker suppression, 0 to 1; ``None``: as in the options.

        Yields:
            See `ColourArray`: one picture for each frame. Leaving the loop early ends the
            engine with the generator (`close` it where something else still holds it).

        Raises:
            ConfigError: ``fps`` or ``steady`` out of range; at the call, also a `ValueError`.
            InputError: as in a call, or a frame of another size than the first. This and
                whatever ``frames`` raises come after the pictures of the frames before.
            BackendError, MissingDependencyError, ModelError: as in a call.
        """
        return _pictures(self.stream_frames(frames, fps=fps, steady=steady))

    def stream_frames(
        self,
        frames: Iterable[ThermalArray | Frame],
        *,
        fps: float = FRAMES_PER_SECOND,
        steady: float | None = None,
    ) -> Generator[TranslatedFrame, None, None]:
        """`stream`, with each picture beside the frame and the time it was made from.

        Yields:
            Frames with ``rgb24`` pictures, as sinks take them.
        """
        if not 0 < fps < float("inf"):
            raise ConfigError(f"fps must be > 0 and finite, received {fps:g}")
        options = self._options if steady is None else replace(self._options, steady=steady)
        counts = FloatRange().counts
        if self._fixed_range is not None:
            counts = partial(to_counts, value_range=self._fixed_range)
        step_s = 1 / Fraction(fps).limit_denominator(1001)
        return self._stream(timed_frames(frames, step_s, counts, self._polarity), options)

    def close(self) -> None:
        """Wait for the call that is being translated, then release every engine.

        Streams that are still open end with a `BackendError`. Harmless a second time.
        """
        with self._guard:
            self._closed = True
            streaming = list(self._streaming)
        for translator in streaming:
            translator.close()
        with self._turn:
            self._release()

    def _translate(self, planes: Sequence[Plane]) -> list[ColourArray]:
        counts = partial(to_counts, value_range=self._fixed_range)
        frames = (
            prepare_still(frame, self._stills, self._info.thermal)
            for frame in single_frames(planes, counts, self._polarity, self._valid)
        )
        pictures: list[ColourArray] = []
        with self._turn:
            self._require_open()
            try:
                for size, alike in itertools.groupby(frames, key=frame_size):
                    translated = overlap(self._engine_for(size), alike)
                    pictures.extend(item.picture.data for item in translated)
            except BaseException:
                # What is still in flight belongs to nobody.
                self._release()
                raise
        return pictures

    def _engine_for(self, frame: Size) -> Translator:
        size = self._for_calls.size
        wanted = size.box(frame), size.shapes(frame)
        if self._engine is None or wanted != self._made_for:
            self._release()
            made = self._for_calls(frame)
            self._engine = PostProcessingTranslator(made, self._stills, self._info.thermal)
            self._made_for = wanted
        return self._engine

    def _release(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _stream(
        self, frames: Iterator[Frame], options: TranslateOptions
    ) -> Generator[TranslatedFrame, None, None]:
        first = next(frames, None)
        if first is None:
            return
        self._require_open()
        made = replace(self._for_streams, options=options)(frame_size(first))
        processing = Processing(made, options, self._info.thermal)
        translator = processing.translator
        with closing(translator):
            with self._guard:
                self._streaming.add(translator)
            try:
                self._require_open()
                chained = itertools.chain([first], frames)
                for item in overlap(translator, chained, processing.prepare):
                    # A held picture comes from no engine that could tell.
                    self._require_open()
                    yield item
            finally:
                with self._guard:
                    self._streaming.discard(translator)

    def _require_open(self) -> None:
        with self._guard:
            if self._closed:
                raise BackendError("the colorizer is closed; load the model again")


def _pictures(
    translated: Generator[TranslatedFrame, None, None],
) -> Generator[ColourArray, None, None]:
    with closing(translated):
        for item in translated:
            yield item.picture.data
