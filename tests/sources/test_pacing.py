from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from ladle_rt.errors import InputError
from ladle_rt.frames import Frame
from ladle_rt.sources.base import SourceInfo
from ladle_rt.sources.pacing import LoopSource, RealtimeSource


class Listed:
    info = SourceInfo(2, 2, Fraction(1, 1000), Fraction(100), frames=3, duration_s=0.03)

    def __init__(self, times_ms: list[int]) -> None:
        self._times_ms = times_ms
        self.closed = 0

    def __iter__(self) -> Iterator[Frame]:
        for number, time_ms in enumerate(self._times_ms):
            yield Frame(np.zeros((2, 2), np.uint8), number, 0, time_ms, Fraction(1, 1000))

    def close(self) -> None:
        self.closed += 1

    def __enter__(self) -> Listed:
        return self

    def __exit__(self, *_: object) -> None: ...


def test_frames_come_when_their_time_has_come() -> None:
    source = RealtimeSource(Listed([500, 600, 650, 900]))
    assert source.info.live
    stamps = [frame.timestamp_ns * 1e-9 for frame in source]
    waits = np.diff(stamps)
    # Never early; how late is up to the machine.
    assert (waits >= np.array([0.1, 0.05, 0.25]) - 0.015).all()


@pytest.mark.parametrize("times", [[0, 10, 3_600_000, 3_600_010], [3_600_000, 3_600_010, 0, 10]])
def test_clocks_that_jump_are_not_waited_for(times: list[int]) -> None:
    begin_s = time.monotonic()
    assert len(list(RealtimeSource(Listed(times)))) == 4
    # Of the hour that the clock jumps by; a slow machine takes seconds.
    assert time.monotonic() - begin_s < 600


def test_closing_ends_the_wait() -> None:
    source = RealtimeSource(Listed([0, 4000]))
    done: list[int] = []
    first = threading.Event()

    def read() -> None:
        for _ in source:
            first.set()
        done.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    assert first.wait(5)
    source.close()
    reader.join(2)
    assert done == [1]


def test_rounds_follow_one_another() -> None:
    opened: list[Listed] = []

    def open_one() -> Listed:
        opened.append(Listed([100, 110, 120]))
        return opened[-1]

    source = LoopSource(open_one)
    assert source.info.frames is None and source.info.duration_s is None
    frames = [frame for frame, _ in zip(source, range(8), strict=False)]
    assert [frame.pts for frame in frames] == [100, 110, 120, 130, 140, 150, 160, 170]
    assert [frame.sequence for frame in frames] == list(range(8))
    assert [one.closed for one in opened] == [1, 1, 0]


def test_a_recording_without_frames_is_not_repeated_for_ever() -> None:
    with pytest.raises(InputError, match="without frames"):
        list(LoopSource(lambda: Listed([])))
