from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.errors import OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.fanout import FanOut


class Noting:
    pixel_format = "yuv420p"

    def __init__(self, refuses_at: int | None = None, refuses_close: bool = False) -> None:
        self.seen: list[int] = []
        self.ended = ""
        self._refuses_at, self._refuses_close = refuses_at, refuses_close

    def write(self, translated: TranslatedFrame) -> None:
        if translated.frame.sequence == self._refuses_at:
            raise OutputError("disk full")
        self.seen.append(translated.frame.sequence)

    def close(self) -> None:
        if self._refuses_close:
            raise OutputError("no trailer")
        self.ended += "closed"

    def abort(self) -> None:
        self.ended += "aborted"


def picture(number: int) -> TranslatedFrame:
    data = np.zeros((3, 2), np.uint8)
    return TranslatedFrame(Frame(data[:2], number, 0), Picture("yuv420p", data, 2, 2))


def test_one_failure_leaves_the_others_going() -> None:
    good, bad = Noting(), Noting(refuses_at=2)
    fan = FanOut([bad])
    fan.add(good)
    for number in range(5):
        fan.write(picture(number))
    fan.close()
    assert good.seen == [0, 1, 2, 3, 4] and good.ended == "closed"
    assert bad.seen == [0, 1] and bad.ended == "aborted"
    assert fan.failures == ["disk full"]


def test_the_last_one_raises() -> None:
    first, last = Noting(refuses_at=1), Noting(refuses_at=3)
    fan = FanOut([first, last])
    for number in range(3):
        fan.write(picture(number))
    with pytest.raises(OutputError, match="disk full"):
        fan.write(picture(3))
    fan.abort()
    assert last.ended == "aborted"


def test_a_recorder_that_waits_is_no_reason_to_go_on() -> None:
    recorder, page, window = Noting(), Noting(refuses_at=1), Noting(refuses_at=2)
    fan = FanOut()
    fan.add(recorder, idle=True)
    for sink in (page, window):
        fan.add(sink)
    for number in range(2):
        fan.write(picture(number))
    with pytest.raises(OutputError, match="disk full"):
        fan.write(picture(2))
    fan.abort()
    assert (page.ended, window.ended, recorder.ended) == ("aborted",) * 3


def test_closing_publishes_all_that_can_be() -> None:
    bad, good = Noting(refuses_close=True), Noting()
    fan = FanOut([bad, good])
    fan.write(picture(0))
    with pytest.raises(OutputError, match="no trailer"):
        fan.close()
    assert good.ended == "closed"
    fan.abort()
    assert good.ended == "closed"


def test_a_bug_is_not_taken_for_a_full_disk() -> None:
    class Broken(Noting):
        def write(self, translated: TranslatedFrame) -> None:
            raise TypeError("bug")

    with pytest.raises(TypeError, match="bug"):
        FanOut([Broken(), Noting()]).write(picture(0))
