"""A translator kept busy from one thread: frames in, translated frames out, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ladle_rt.errors import PipelineError
from ladle_rt.frames import Frame, PreparedFrame, TranslatedFrame
from ladle_rt.pipeline.run import STALL_TIMEOUT_S

if TYPE_CHECKING:
    from ladle_rt.translate.base import Translator


def overlap(
    translator: Translator,
    frames: Iterable[Frame],
    prepare: Callable[[Frame], PreparedFrame] = PreparedFrame,
) -> Generator[TranslatedFrame, None, None]:
    """Translate frames with as many in flight as the translator takes.

    Threads and queues are the translator's alone, so a generator that is left early leaves
    nothing behind but the frames in flight, which its `Translator.close` drops. Of frames that
    come slowly each is handed on with the next one at the latest, if it is ready by then.

    Args:
        translator: nobody else uses it meanwhile; stays open.
        frames: asked for the next one when there is room for it.
        prepare: the thermal front end; a frame that it holds gets a copy of the picture before.

    Yields:
        One translated frame for each.

    Raises:
        PipelineError: a frame took longer than `STALL_TIMEOUT_S`.
        LadleError: what made a frame fail.
        Exception: whatever ``frames`` raised, after the pictures of the frames before.
    """
    waiting: deque[PreparedFrame] = deque()
    newest: TranslatedFrame | None = None
    failure: Exception | None = None
    source = iter(frames)

    def take(timeout_s: float) -> TranslatedFrame:
        """The next frame's picture; a held one follows what it repeats."""
        nonlocal newest
        prepared = waiting[0]
        if prepared.hold is None or newest is None:
            newest = translator.collect(timeout_s)
        else:
            picture = replace(newest.picture, data=newest.picture.data.copy())
            newest = replace(newest, frame=prepared.frame, picture=picture)
        waiting.popleft()
        return newest

    while True:
        # A warm start may go over to an engine that takes fewer.
        while len(waiting) >= translator.depth:
            yield take(STALL_TIMEOUT_S)
        try:
            frame = next(source)
        except StopIteration:
            break
        except Exception as error:
            failure = error
            break
        prepared = prepare(frame)
        if prepared.hold is None:
            translator.submit(prepared.frame)
        waiting.append(prepared)
        while waiting and (ready := _if_ready(take)) is not None:
            yield ready
    while waiting:
        yield take(STALL_TIMEOUT_S)
    if failure is not None:
        raise failure


def _if_ready(take: Callable[[float], TranslatedFrame]) -> TranslatedFrame | None:
    """The next result, if it need not be waited for."""
    try:
        return take(0.0)
    except PipelineError:
        return None
