"""A translator kept busy from one thread: frames in, translated frames out, in order."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from ladle_rt.errors import PipelineError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.pipeline.run import STALL_TIMEOUT_S

if TYPE_CHECKING:
    from ladle_rt.translate.base import Translator


def overlap(
    translator: Translator, frames: Iterable[Frame]
) -> Generator[TranslatedFrame, None, None]:
    """Translate frames with as many in flight as the translator takes.

    Threads and queues are the translator's alone, so a generator that is left early leaves
    nothing behind but the frames in flight, which its `Translator.close` drops. Of frames that
    come slowly each is handed on with the next one at the latest, if it is ready by then.

    Args:
        translator: nobody else uses it meanwhile; stays open.
        frames: asked for the next one when there is room for it.

    Yields:
        One translated frame for each.

    Raises:
        PipelineError: a frame took longer than `STALL_TIMEOUT_S`.
        LadleError: what made a frame fail.
        Exception: whatever ``frames`` raised, after the pictures of the frames before.
    """
    in_flight = 0
    failure: Exception | None = None
    source = iter(frames)
    while True:
        # A warm start may go over to an engine that takes fewer.
        while in_flight >= translator.depth:
            yield translator.collect(STALL_TIMEOUT_S)
            in_flight -= 1
        try:
            frame = next(source)
        except StopIteration:
            break
        except Exception as error:
            failure = error
            break
        translator.submit(frame)
        in_flight += 1
        while in_flight and (ready := _ready(translator)) is not None:
            yield ready
            in_flight -= 1
    for _ in range(in_flight):
        yield translator.collect(STALL_TIMEOUT_S)
    if failure is not None:
        raise failure


def _ready(translator: Translator) -> TranslatedFrame | None:
    """The next result, if it need not be waited for."""
    try:
        return translator.collect(0.0)
    except PipelineError:
        return None
