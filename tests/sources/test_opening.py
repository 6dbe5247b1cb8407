from __future__ import annotations

import logging
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.errors import InputNotFoundError, StoppedError
from ladle_rt.sources.base import Source, SourceOptions
from ladle_rt.sources.opening import open_patiently
from ladle_rt.sources.select import open_source
from ladle_rt.sources.synthetic_source import SyntheticSource


def test_a_source_that_is_not_there_yet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, made = tmp_path / "later", tmp_path / "made"
    made.mkdir()
    cv2.imwrite(str(made / "1.png"), np.zeros((6, 8), np.uint16))

    class Arrival(logging.Handler):
        """It comes, whole, when it is waited for."""

        def emit(self, record: logging.LogRecord) -> None:
            if "waiting for it" in record.getMessage():
                made.rename(folder)

    with pytest.raises(InputNotFoundError):
        open_source(str(folder), SourceOptions())
    arrival, logger = Arrival(), logging.getLogger("ladle_rt")
    logger.addHandler(arrival)
    try:
        with open_source(str(folder), SourceOptions(wait=True)) as source:
            assert (source.info.width, source.info.height) == (8, 6)
    finally:
        logger.removeHandler(arrival)
    assert caplog.text.count("waiting for it") == 1


def test_stopping_ends_the_wait() -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        open_source("nowhere", SourceOptions(wait=True), stop=stop)


def test_what_hangs_while_opening_is_left_and_closed_later() -> None:
    stop, answer, closed = threading.Event(), threading.Event(), threading.Event()

    class Late(SyntheticSource):
        def close(self) -> None:
            closed.set()

    def hang() -> Source:
        stop.set()
        answer.wait(120)
        return Late()

    with pytest.raises(StoppedError):
        open_patiently(hang, wait=False, stop=stop)
    assert not closed.is_set(), "it was waited for"
    answer.set()
    assert closed.wait(60)


def test_a_bug_keeps_its_traceback() -> None:
    def broken() -> Source:
        raise TypeError("bug")

    with pytest.raises(TypeError, match="bug") as caught:
        open_patiently(broken, wait=True, stop=threading.Event())
    assert [entry.name for entry in caught.traceback][-1] == "broken"
