"""Going over from one engine to another between two frames."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError, ConfigError, PipelineError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.base import Translator
from ladle_rt.translate.warm_start import WarmStartTranslator

RGB = PictureSpec("rgb24", False)
OPTIONS = TranslateOptions(backend="onnxruntime", threads=1, smoothing_s=0)
LIMIT_S = 30


def frame(number: int) -> Frame:
    pixels = np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))
    return Frame(pixels, number, timestamp_ns=number * 33_000_000)


@pytest.fixture
def engines(tmp_path: Path, make_model: Callable[..., Path]) -> tuple[Translator, Translator]:
    """Two networks whose pictures differ."""
    made = [make_model(tmp_path / f"{weight}.onnx", weight=weight) for weight in (1.0, -1.0)]
    first, second = (create_translator(load_artifact(path), OPTIONS, RGB) for path in made)
    return first, second


def red_at_the_hot_end(translator: WarmStartTranslator) -> int:
    return int(translator.collect(LIMIT_S).picture.data[32, 90, 0])


def test_the_change_comes_between_two_frames(
    engines: tuple[Translator, Translator], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = engines
    release = threading.Event()

    def build(leave: threading.Event) -> Translator:
        assert release.wait(LIMIT_S)
        return second

    with WarmStartTranslator(first, build) as translator:
        assert isinstance(translator, Translator)
        assert translator.submit(frame(0)) == 0
        before = red_at_the_hot_end(translator)
        assert translator.submit(frame(1)) == 1
        release.set()
        assert translator.ready.wait(LIMIT_S)
        with caplog.at_level(logging.INFO, "ladle_rt.engine"):
            assert translator.submit(frame(2)) == 2
        assert [record.message for record in caplog.records] == [
            f"from this frame on: {second.name}"
        ]
        results = [translator.collect(LIMIT_S) for _ in range(2)]
        reds = [int(result.picture.data[32, 90, 0]) for result in results]
        assert [result.frame.sequence for result in results] == [1, 2]
        assert reds[0] == before and abs(reds[1] - before) > 100
        # The first has given its last frame and is closed.
        with pytest.raises(BackendError, match="closed"):
            first.submit(frame(3))
        with pytest.raises(PipelineError, match="without a frame in flight"):
            translator.collect(LIMIT_S)


@pytest.mark.parametrize("change_at", [1, 4])
def test_brightness_makes_no_step_at_the_change(tiny_model: Path, change_at: int) -> None:
    """As if there had been one engine: levels that follow slowly go on where they were."""
    options = TranslateOptions(backend="onnxruntime", threads=1, smoothing_s=1.0)
    scene = np.tile(np.linspace(20, 120, 96), (64, 1))
    frames = [
        Frame((scene + 12 * number).astype(np.uint8), number, timestamp_ns=number * 100_000_000)
        for number in range(8)
    ]

    def make() -> Translator:
        return create_translator(load_artifact(tiny_model), options, RGB)

    release = threading.Event()

    def build(leave: threading.Event) -> Translator:
        assert release.wait(LIMIT_S)
        return make()

    with make() as one, WarmStartTranslator(make(), build) as two:
        for number, item in enumerate(frames):
            if number == change_at:
                release.set()
                assert two.ready.wait(LIMIT_S)
            for translator in (one, two):
                translator.submit(item)
            expected, actual = (each.collect(LIMIT_S).picture.data for each in (one, two))
            np.testing.assert_array_equal(actual, expected, f"frame {number}")
        assert two.followed_levels() == one.followed_levels() is not None


def test_many_frames_keep_their_order(engines: tuple[Translator, Translator]) -> None:
    first, second = engines
    with WarmStartTranslator(first, lambda leave: second) as translator:
        sequence = []
        for number in range(40):
            translator.submit(frame(number))
            if number % 2:
                sequence += [translator.collect(LIMIT_S).frame.sequence for _ in range(2)]
    assert sequence == list(range(40))


def test_an_engine_that_takes_fewer_frames_does_not_block(
    engines: tuple[Translator, Translator], tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    wide = TranslateOptions(backend="onnxruntime", threads=3, smoothing_s=0)
    first = create_translator(load_artifact(make_model(tmp_path / "wide.onnx")), wide, RGB)
    release = threading.Event()

    def build(leave: threading.Event) -> Translator:
        assert release.wait(LIMIT_S)
        return engines[1]

    results, flying = [], 0
    with WarmStartTranslator(first, build) as translator:
        assert translator.depth == 6
        for number in range(20):
            while flying >= translator.depth:
                results.append(translator.collect(LIMIT_S))
                flying -= 1
            translator.submit(frame(number))
            flying += 1
            if flying == 6:
                release.set()
                assert translator.ready.wait(LIMIT_S)
        assert translator.depth == engines[1].depth == 2
        results += [translator.collect(LIMIT_S) for _ in range(flying)]
    assert [result.frame.sequence for result in results] == list(range(20))


def test_the_other_engine_is_tried_before_the_change(
    engines: tuple[Translator, Translator], caplog: pytest.LogCaptureFixture
) -> None:
    """It cannot do this run's frames: the first stays, and only one line tells."""
    first, second = engines

    class Refusing:
        name, box = "narrow", (0, 0)
        closed = False

        def resize(self, size: tuple[int, int]) -> None:
            self.box = size

        def submit(self, frame: Frame) -> int:
            self.tried = frame
            return 0

        def collect(self, timeout_s: float | None = None) -> None:
            raise ConfigError("this plan takes 32x32 at the network, received 64x96")

        def close(self) -> None:
            self.closed = True

    narrow: Any = Refusing()
    with (
        second,
        caplog.at_level(logging.INFO, "ladle_rt"),
        WarmStartTranslator(first, lambda leave: narrow) as translator,
    ):
        translator.resize((96, 128))
        for number in range(4):
            sent = frame(number)
            translator.submit(sent)
            sent.pixels[:] = 7
            assert translator.ready.wait(LIMIT_S)
            assert translator.collect(LIMIT_S).frame.sequence == number
        assert translator.name == first.name
    assert narrow.closed and narrow.box == (96, 128)
    np.testing.assert_array_equal(narrow.tried.pixels, frame(0).pixels, "a copy of the first")
    assert [record.message for record in caplog.records] == [
        "this plan takes 32x32 at the network, received 64x96; going on with "
        "onnxruntime (1 workers)"
    ]


def test_an_engine_that_is_ready_before_the_first_frame_waits_for_it(
    engines: tuple[Translator, Translator],
) -> None:
    first, second = engines
    with WarmStartTranslator(first, lambda leave: second) as translator:
        assert not translator.ready.wait(0.2)
        translator.submit(frame(0))
        assert translator.ready.wait(LIMIT_S)
        assert translator.collect(LIMIT_S).frame.sequence == 0
    # Closing before any frame ends the wait as well.
    other = WarmStartTranslator(Idle(), lambda leave: Idle())  # type: ignore[arg-type, return-value]
    other.close()
    assert other.ready.is_set()


@pytest.mark.parametrize("failure", [BackendError("no plan today"), RuntimeError("a bug")])
def test_a_failed_build_is_told_once_and_changes_nothing(
    engines: tuple[Translator, Translator], failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = engines

    def build(leave: threading.Event) -> Translator:
        raise failure

    with (
        caplog.at_level(logging.WARNING, "ladle_rt"),
        WarmStartTranslator(first, build) as translator,
    ):
        assert translator.ready.wait(LIMIT_S)
        for number in range(3):
            translator.submit(frame(number))
            assert translator.collect(LIMIT_S).frame.sequence == number
    assert len(caplog.records) == 1
    assert f"going on with {first.name}" in caplog.records[0].message


def test_what_is_built_after_closing_is_closed(engines: tuple[Translator, Translator]) -> None:
    first, second = engines

    def build(leave: threading.Event) -> Translator:
        assert leave.wait(LIMIT_S)
        return second

    translator = WarmStartTranslator(first, build)
    translator.submit(frame(0))
    translator.close()
    translator.close()
    assert translator.ready.is_set()
    for engine in (first, second):
        with pytest.raises(BackendError, match="closed"):
            engine.submit(frame(1))


class Idle:
    """An engine that only has a size; ``before_resize`` runs while it is being changed."""

    name, depth, network_size = "idle", 1, (0, 0)

    def __init__(self, before_resize: Callable[[], None] = lambda: None) -> None:
        self._before_resize = before_resize

    def resize(self, size: tuple[int, int]) -> None:
        self._before_resize()
        self.network_size = size

    def submit(self, frame: Frame) -> int:
        return 0

    def collect(self, timeout_s: float | None = None) -> str:
        return "picture"

    def followed_levels(self) -> None:
        return None

    def close(self) -> None: ...


def test_a_size_asked_for_during_the_change_is_not_lost() -> None:
    asking: list[threading.Thread] = []

    def ask_meanwhile() -> None:
        # The first time is the trial.
        if second.network_size != (0, 0) and not asking:
            asking.append(threading.Thread(target=translator.resize, args=((64, 96),)))
            asking[0].start()
            asking[0].join(0.3)

    second: Any = Idle(ask_meanwhile)
    first: Any = Idle()
    translator = WarmStartTranslator(first, lambda leave: second)
    translator.resize((32, 48))
    translator.submit(frame(0))
    assert translator.ready.wait(LIMIT_S)
    translator.submit(frame(1))
    asking[0].join(LIMIT_S)
    assert translator.network_size == second.network_size == (64, 96)
    translator.close()


def test_a_timeout_leaves_the_frame_in_flight() -> None:
    network_may_run = threading.Event()

    class Slow:
        name, depth = "slow", 1

        def submit(self, frame: Frame) -> int:
            return 0

        def collect(self, timeout_s: float | None = None) -> str:
            if not network_may_run.is_set():
                raise PipelineError("no frame translated")
            return "picture"

        def close(self) -> None:
            pass

    def build(leave: threading.Event) -> Translator:
        raise BackendError("no plan today")

    translator = WarmStartTranslator(Slow(), build)  # type: ignore[arg-type]
    translator.submit(frame(0))
    with pytest.raises(PipelineError):
        translator.collect(0.01)
    network_may_run.set()
    assert translator.collect(LIMIT_S) == "picture"
    translator.close()
