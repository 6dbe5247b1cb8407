from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ladle_rt.errors import InputError, OutputError, PartialResultError, PipelineError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import Frame, PreparedFrame, TranslatedFrame
from ladle_rt.pipeline.run import run
from ladle_rt.sources.base import SourceInfo

PIXELS = np.zeros((4, 4), np.uint8)


class ListSource:
    """Counted frames; ``at`` runs before each one."""

    info = SourceInfo(4, 4, Fraction(1, 25), Fraction(25))

    def __init__(
        self, frames: int, at: Callable[[int], None] = lambda index: None, live: bool = False
    ) -> None:
        self._frames = frames
        self._at = at
        self.delivered = 0
        self.closed = threading.Event()
        if live:
            self.info = replace(self.info, live=True)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._frames):
            self._at(index)
            self.delivered += 1
            yield Frame(PIXELS, index, index, index, Fraction(1, 25))
        self._at(self._frames)

    def close(self) -> None:
        self.closed.set()

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
    return {one.name for one in threading.enumerate()} & {"capture", "submit", "present"}


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_every_frame_in_order(thread_translator: Any, depth: int) -> None:
    seen: list[FrameStats] = []
    full = threading.Event()

    def first_waits_for_a_full_translator(frame: Frame) -> None:
        if frame.sequence == depth - 1:
            full.set()
        elif frame.sequence == 0:
            assert full.wait(20)

    # The last of so many frames starts beside the first one: the pool has two threads.
    translator = thread_translator(depth, work=first_waits_for_a_full_translator)
    sink = ListSink()
    with translator:
        result = run(ListSource(50), translator, sink, on_progress=seen.append)
    assert sink.sequences == list(range(50))
    assert sink.ended == "closed"
    assert (result.captured, result.presented, result.in_flight) == (50, 50, 0)
    assert not result.stopped
    assert result.first_picture_s is not None
    assert max(1, depth - 1) <= translator.most_in_flight <= depth
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
    def interrupt(statistics: FrameStats) -> None:
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


def waiting(event: threading.Event) -> Callable[[int], None]:
    def wait(index: int) -> None:
        assert event.wait(20)

    return wait


def balanced(result: FrameStats) -> bool:
    return result.captured == result.presented + sum(result.dropped.values()) + result.in_flight


def test_latest_translates_the_newest_and_drops_the_rest(thread_translator: Any) -> None:
    """All frames come while the first ones are still being translated."""
    captured = threading.Event()
    source = ListSource(100, lambda index: captured.set() if index == 100 else None, live=True)
    sink = ListSink()
    work = waiting(captured)
    with thread_translator(depth=2, work=lambda frame: work(0)) as translator:
        result = run(source, translator, sink, policy="latest")
    assert result.captured == 100 and balanced(result) and result.in_flight == 0
    assert sink.sequences[-1] == 99
    assert sink.sequences == sorted(set(sink.sequences))
    # One in flight, one in the hand of the submitter, one waiting: all others were too old.
    assert result.presented <= 3
    assert set(result.dropped) == {"late"}


def test_drop_oldest_keeps_a_few_that_wait(thread_translator: Any) -> None:
    captured = threading.Event()
    source = ListSource(100, lambda index: captured.set() if index == 100 else None, live=True)
    sink = ListSink()
    work = waiting(captured)
    with thread_translator(depth=2, work=lambda frame: work(0)) as translator:
        result = run(source, translator, sink, policy="drop-oldest")
    assert balanced(result)
    assert sink.sequences[-4:] == [96, 97, 98, 99]
    assert 4 <= result.presented <= 6


def test_a_slow_sink_sees_new_pictures(thread_translator: Any) -> None:
    """Translation is never held up by it, and the reason is in the statistics."""
    ended = threading.Event()
    source = ListSource(60, lambda index: ended.set() if index == 60 else None, live=True)
    sink = ListSink(waiting(ended))
    with thread_translator(depth=4) as translator:
        result = run(source, translator, sink, policy="drop-oldest")
    assert balanced(result)
    assert sink.sequences[-1] == 59
    assert result.presented == len(sink.sequences) < 60


def test_unusable_frames_are_counted_and_dropped(thread_translator: Any) -> None:
    class Damaged(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            good = Frame(PIXELS, 0, 0, 0, Fraction(1, 25))
            empty = np.empty((0, 0), np.uint8)
            yield good
            yield replace(good, sequence=1, pixels=empty, fault="expected 16 bytes, received 3")
            yield replace(good, sequence=2, pixels=empty)
            yield replace(good, sequence=3, pixels=np.zeros((4, 4), np.float32))  # type: ignore[arg-type]
            yield replace(good, sequence=4, pixels=np.zeros((4, 4, 3), np.uint8))
            yield replace(good, sequence=5)

    sink = ListSink()
    with thread_translator() as translator:
        result = run(Damaged(0), translator, sink)
    assert sink.sequences == [0, 5]
    assert result.dropped == {"corrupt": 4} and balanced(result)


def test_held_frames_show_the_picture_before_them(thread_translator: Any) -> None:
    class Pictures(ListSink):
        def __init__(self) -> None:
            super().__init__()
            self.shown: list[int] = []

        def write(self, translated: TranslatedFrame) -> None:
            super().write(translated)
            self.shown.append(int(translated.picture.data[0, 0]))

    def prepare(frame: Frame) -> PreparedFrame:
        held = frame.sequence in (0, 1, 4, 5, 9)
        pixels = np.full((4, 4), frame.sequence, np.uint8)
        return PreparedFrame(replace(frame, pixels=pixels), "shutter" if held else None)

    sink = Pictures()
    with thread_translator(depth=3) as translator:
        result = run(ListSource(10), translator, sink, prepare=prepare)
    # Nothing could be held before the first picture.
    assert result.dropped == {"shutter": 2} and result.held == 3 and balanced(result)
    assert sink.sequences == [2, 3, 4, 5, 6, 7, 8, 9]
    assert sink.shown == [2, 3, 3, 3, 6, 7, 8, 8]


def test_so_many_frames_and_no_more(thread_translator: Any) -> None:
    sink, source = ListSink(), ListSource(100)
    with thread_translator() as translator:
        result = run(source, translator, sink, max_frames=7)
    assert (result.captured, result.presented, result.stopped) == (7, 7, False)
    assert source.delivered == 7 and sink.ended == "closed"


def test_stop_does_not_wait_for_a_live_source_that_is_silent(thread_translator: Any) -> None:
    stop = threading.Event()
    source: ListSource

    def silent_after_three(index: int) -> None:
        if index == 3:
            stop.set()
            assert source.closed.wait(20), "the reader was left waiting"
            raise InputError("closed under its reader")

    source = ListSource(10, silent_after_three, live=True)
    sink = ListSink()
    with thread_translator() as translator:
        result = run(source, translator, sink, policy="latest", stop=stop)
    assert result.stopped and balanced(result) and result.in_flight == 0
    assert sink.ended == "closed"
    assert threads_alive() == set()


def test_a_live_source_may_be_silent_for_long(thread_translator: Any) -> None:
    """Longer than a stage may: its own watchdog looks after it."""
    waited = threading.Event()
    source = ListSource(3, lambda index: waited.wait(0.3) and None, live=True)
    sink = ListSink()
    with thread_translator() as translator:
        result = run(source, translator, sink, policy="drop-oldest", stall_timeout_s=0.1)
    assert result.presented == 3
