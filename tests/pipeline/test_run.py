from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ladle_rt.errors import OutputError, PartialResultError, PipelineError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.pipeline.run import run
from ladle_rt.pipeline.statistics import RunStatistics
from ladle_rt.sources.base import SourceInfo

PIXELS = np.zeros((4, 4), np.uint8)


class ListSource:
    """Counted frames; ``at`` runs before each one."""

    info = SourceInfo(4, 4, Fraction(1, 25), Fraction(25))

    def __init__(self, frames: int, at: Callable[[int], None] = lambda index: None) -> None:
        self._frames = frames
        self._at = at
        self.delivered = 0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._frames):
            self._at(index)
            self.delivered += 1
            yield Frame(PIXELS, index, index, index, Fraction(1, 25))
        self._at(self._frames)

    def close(self) -> None: ...

    def __enter__(self) -> ListSource:
        return self

    def __exit__(self, *_: object) -> None: ...


class ListSink:
    """Remembers what came; ``at`` runs before each picture."""

    pixel_format = "yuv420p"

    def __init__(self, at: Callable[[int], None] = lambda index: None) -> None:
        self.sequences: list[int] = []
        self.ended = ""
        self._at = at

    def write(self, translated: TranslatedFrame) -> None:
        self._at(translated.frame.sequence)
        self.sequences.append(translated.frame.sequence)

    def close(self) -> None:
        self.ended += "closed"

    def abort(self) -> None:
        self.ended += "aborted"


def raise_at(wanted: int, error: Exception) -> Callable[[int], None]:
    def boom(index: int) -> None:
        if index == wanted:
            raise error

    return boom


def threads_alive() -> set[str]:
    return {one.name for one in threading.enumerate()} & {"capture", "present"}


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_every_frame_in_order(thread_translator: Any, depth: int) -> None:
    seen: list[RunStatistics] = []
    translator, sink = thread_translator(depth), ListSink()
    with translator:
        result = run(ListSource(50), translator, sink, on_progress=seen.append)
    assert sink.sequences == list(range(50))
    assert sink.ended == "closed"
    assert (result.captured, result.presented, result.in_flight) == (50, 50, 0)
    assert not result.stopped
    assert result.first_picture_s is not None
    assert translator.most_in_flight == depth
    for one in seen:
        assert one.captured == one.presented + sum(one.dropped.values()) + one.in_flight
    assert threads_alive() == set()


def test_memory_is_bounded_by_a_slow_sink(thread_translator: Any) -> None:
    release, reached = threading.Event(), threading.Event()
    source = ListSource(500, at=lambda index: None)

    def hold(index: int) -> None:
        reached.set()
        assert release.wait(20)

    sink = ListSink(at=hold)
    with thread_translator(3) as translator:
        worker = threading.Thread(target=run, args=(source, translator, sink))
        worker.start()
        assert reached.wait(20)
        # Two queues of four, three in flight, one in each hand.
        worker.join(0.3)
        assert source.delivered <= 4 + 3 + 4 + 3
        release.set()
        worker.join(20)
    assert sink.sequences == list(range(500))


def test_nothing_to_present_publishes_nothing(thread_translator: Any) -> None:
    sink = ListSink()
    with thread_translator() as translator:
        assert run(ListSource(0), translator, sink).presented == 0
    assert sink.ended == "aborted"


@pytest.mark.parametrize("stage", ["capture", "translate", "present"])
@pytest.mark.parametrize("position", [0, 9, 29])
def test_an_error_reaches_the_caller_with_its_traceback(
    thread_translator: Any, stage: str, position: int
) -> None:
    boom = raise_at(position, ValueError("broken part"))
    source = ListSource(30, boom if stage == "capture" else lambda index: None)
    sink = ListSink(boom if stage == "present" else lambda index: None)
    work = (lambda frame: boom(frame.sequence)) if stage == "translate" else lambda frame: None
    with (
        thread_translator(work=work) as translator,
        pytest.raises(ValueError, match="broken part") as caught,
    ):
        run(source, translator, sink)
    names = [entry.name for entry in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "boom"
    assert sink.ended == "aborted"
    assert sink.sequences == list(range(len(sink.sequences)))
    assert threads_alive() == set()


def test_an_error_while_publishing_reaches_the_caller(thread_translator: Any) -> None:
    class FullSink(ListSink):
        def close(self) -> None:
            raise OutputError("disk full")

    with (
        thread_translator() as translator,
        pytest.raises(OutputError, match="disk full"),
    ):
        run(ListSource(3), translator, FullSink())


def test_stop_presents_what_is_in_flight(thread_translator: Any) -> None:
    stop = threading.Event()
    source = ListSource(10_000, lambda index: stop.set() if index == 20 else None)
    sink = ListSink()
    with thread_translator() as translator:
        result = run(source, translator, sink, stop=stop)
    assert result.stopped
    assert sink.sequences == list(range(20))
    assert (result.captured, result.presented) == (20, 20)
    assert sink.ended == "closed"


def test_stop_before_the_first_frame_leaves_nothing(thread_translator: Any) -> None:
    stop = threading.Event()
    stop.set()
    sink = ListSink()
    with thread_translator() as translator:
        result = run(ListSource(5), translator, sink, stop=stop)
    assert result.stopped
    assert result.presented == 0
    assert sink.ended == "aborted"


def test_a_damaged_source_is_published_and_reported(thread_translator: Any) -> None:
    sink = ListSink()
    source = ListSource(12, raise_at(12, PartialResultError("cut short")))
    with (
        thread_translator() as translator,
        pytest.raises(PartialResultError, match="cut short"),
    ):
        run(source, translator, sink)
    assert sink.sequences == list(range(12))
    assert sink.ended == "closed"


def test_an_interrupt_in_the_caller_ends_every_thread(thread_translator: Any) -> None:
    def interrupt(statistics: RunStatistics) -> None:
        raise KeyboardInterrupt

    sink = ListSink()
    with thread_translator() as translator, pytest.raises(KeyboardInterrupt):
        run(ListSource(1000), translator, sink, on_progress=interrupt)
    assert sink.ended == "aborted"
    assert threads_alive() == set()


def test_a_silent_source_is_given_up(
    thread_translator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ladle_rt.pipeline.run.JOIN_TIMEOUT_S", 0.05)
    release = threading.Event()

    def hang(index: int) -> None:
        release.wait(30)

    sink = ListSink()
    try:
        with (
            thread_translator() as translator,
            pytest.raises(PipelineError, match="capture did nothing"),
        ):
            run(ListSource(5, hang), translator, sink, stall_timeout_s=0.05)
    finally:
        release.set()
    assert sink.ended == "aborted"
