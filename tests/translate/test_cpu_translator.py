"""The CPU translator: order, bounds, errors, engines that agree, models that are refused."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError, ModelError, PipelineError
from ladle_rt.frames import Frame, Levels
from ladle_rt.models.artifact import file_sha256, load_artifact
from ladle_rt.translate import PictureSpec, create_translator, load_network
from ladle_rt.translate.base import Translator
from ladle_rt.translate.cpu_translator import CpuTranslator

YUV, RGB = PictureSpec("yuv420p", True), PictureSpec("rgb24", False)
BACKENDS = ["onnxruntime", "openvino"]


def frame(number: int, shape: tuple[int, int] = (64, 96)) -> Frame:
    pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
    return Frame(pixels, number, timestamp_ns=number * 33_000_000)


class GatedNetwork:
    """Real arithmetic behind a gate; flat frames fail."""

    name = "gated"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def runner(self) -> Any:
        def run(thermal: np.ndarray) -> np.ndarray:
            self.entered.release()
            assert self.gate.wait(30)
            if thermal.mean() == 0:
                raise ZeroDivisionError("flat frame")
            return np.repeat(thermal, 3, axis=1)

        return run


def gated(tiny_model: Path, workers: int = 2) -> tuple[GatedNetwork, CpuTranslator]:
    network, info = GatedNetwork(), load_artifact(tiny_model).info
    return network, CpuTranslator(network, info, TranslateOptions(), YUV, workers)


def test_results_come_in_order(tiny_model: Path) -> None:
    with create_translator(
        load_artifact(tiny_model), TranslateOptions(backend="onnxruntime", threads=3), YUV
    ) as ours:
        assert isinstance(ours, Translator)
        assert ours.depth == 6
        seen = []
        for start in range(0, 30, ours.depth):
            tickets = [ours.submit(frame(start + i)) for i in range(ours.depth)]
            assert tickets == list(range(start, start + ours.depth))
            seen += [ours.collect(30).frame.sequence for _ in tickets]
    assert seen == list(range(30))


def test_submit_blocks_at_depth(tiny_model: Path) -> None:
    network, translator = gated(tiny_model)
    with translator:
        for number in range(translator.depth):
            translator.submit(frame(number))
        submitted = threading.Event()

        def one_more() -> None:
            translator.submit(frame(99))
            submitted.set()

        thread = threading.Thread(target=one_more)
        thread.start()
        assert network.entered.acquire(timeout=30)
        assert not submitted.is_set()
        network.gate.set()
        translator.collect(30)
        thread.join(30)
        assert submitted.is_set()
        assert [translator.collect(30).frame.sequence for _ in range(4)] == [1, 2, 3, 99]


def test_a_failure_keeps_its_traceback_and_its_place(tiny_model: Path) -> None:
    network, translator = gated(tiny_model)
    network.gate.set()
    flat = Frame(np.zeros((64, 96), np.uint8), 1, 0)
    with translator:
        for item in (frame(0), flat, frame(2)):
            translator.submit(item)
        assert translator.collect(30).frame.sequence == 0
        with pytest.raises(ZeroDivisionError, match="flat frame") as caught:
            translator.collect(30)
        assert "in run" in "".join(traceback.format_exception(caught.value))
        assert translator.collect(30).frame.sequence == 2


def test_waits_are_bounded(tiny_model: Path) -> None:
    network, translator = gated(tiny_model)
    with pytest.raises(PipelineError, match="without a frame in flight"):
        translator.collect()
    translator.submit(frame(0))
    with pytest.raises(PipelineError, match="no frame translated within"):
        translator.collect(0.01)
    network.gate.set()
    assert translator.collect(30).frame.sequence == 0
    translator.close()
    translator.close()
    with pytest.raises(BackendError, match="closed"):
        translator.submit(frame(1))


def test_levels_follow_slowly_unless_told_otherwise(tiny_model: Path) -> None:
    dark = Frame(np.tile(np.arange(96, dtype=np.uint8), (64, 1)), 0, 0)
    bright = Frame(dark.pixels + 40, 1, 33_000_000)

    def second(smoothing_s: float) -> np.ndarray:
        options = TranslateOptions(smoothing_s=smoothing_s, backend="onnxruntime")
        with create_translator(load_artifact(tiny_model), options, YUV) as translator:
            translator.submit(dark)
            translator.submit(bright)
            first = translator.collect(30).picture.data
            return translator.collect(30).picture.data.astype(int) - first

    assert np.abs(second(0)).max() <= 1
    assert np.abs(second(1)).max() > 10


@pytest.mark.parametrize("picture", [YUV, RGB], ids=["yuv420p", "rgb24"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (63, 95), (480, 640)])
def test_engines_agree(tiny_model: Path, shape: tuple[int, int], picture: PictureSpec) -> None:
    pytest.importorskip("openvino", reason="needs the openvino extra")
    pictures = []
    for backend in BACKENDS:
        options = TranslateOptions(backend=backend)  # type: ignore[arg-type]
        with create_translator(load_artifact(tiny_model), options, picture) as translator:
            assert backend in translator.name
            translator.submit(frame(7, shape))
            pictures.append(translator.collect(30).picture.data.astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weight": float("nan")}, "not finite"),
        ({"bounded": False, "weight": 9.0}, r"expected an output in \[0,1\]"),
        ({"inputs": 3}, "expected one input 'thermal'"),
        ({"outputs": 1}, "expected one output 'rgb'"),
        ({"input_name": "image"}, "expected one input 'thermal'"),
    ],
)
def test_graphs_that_break_the_contract(
    tmp_path: Path,
    make_model: Callable[..., Path],
    backend: Any,
    wrong: dict[str, Any],
    message: str,
) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    path = make_model(tmp_path / "m.onnx", **wrong)
    with pytest.raises(ModelError, match=message) as caught:
        load_network(load_artifact(path), backend)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_that_are_no_graph(tmp_path: Path, tiny_model: Path, backend: Any) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_model.read_bytes()[:200])
    facts = json.loads(tiny_model.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**facts, "onnx_sha256": file_sha256(path)}))
    with pytest.raises(ModelError, match="expected an ONNX graph") as caught:
        load_network(load_artifact(path), backend)
    assert "\n" not in str(caught.value)


def test_facts_inside_the_graph_must_be_the_jsons(
    tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    path = make_model(tmp_path / "m.onnx", metadata={"name": "other"})
    with pytest.raises(ModelError, match="own facts differ"):
        load_network(load_artifact(path), "onnxruntime")


def test_a_later_frame_that_is_ready_first_waits_its_turn(tiny_model: Path) -> None:
    second_done = threading.Event()
    first_entered = threading.Lock()

    class FirstIsLast(GatedNetwork):
        def runner(self) -> Any:
            def run(thermal: np.ndarray) -> np.ndarray:
                if first_entered.acquire(blocking=False):
                    assert second_done.wait(30)
                else:
                    second_done.set()
                return np.repeat(thermal, 3, axis=1)

            return run

    info = load_artifact(tiny_model).info
    with CpuTranslator(FirstIsLast(), info, TranslateOptions(), YUV, 2) as translator:
        for number in range(2):
            translator.submit(frame(number))
        assert [translator.collect(30).frame.sequence for _ in range(2)] == [0, 1]


def test_order_holds_between_two_threads(tiny_model: Path) -> None:
    options = TranslateOptions(threads=2, backend="onnxruntime")
    shapes = [(64, 96), (1, 1), (96, 64), (1, 5000), (33, 31)]
    with create_translator(load_artifact(tiny_model), options, RGB) as translator:

        def feed() -> None:
            for number in range(40):
                translator.submit(frame(number, shapes[number % len(shapes)]))
                submitted.release()

        submitted = threading.Semaphore(0)
        thread = threading.Thread(target=feed, daemon=True)
        thread.start()
        for number in range(40):
            assert submitted.acquire(timeout=30)
            result = translator.collect(30)
            assert result.frame.sequence == number
            assert result.picture.data.shape == (*result.frame.pixels.shape, 3)
        thread.join(30)


def test_a_workers_timeout_is_not_the_callers(tiny_model: Path) -> None:
    class Slow(GatedNetwork):
        def runner(self) -> Any:
            def run(thermal: np.ndarray) -> np.ndarray:
                raise TimeoutError("device busy")

            return run

    info = load_artifact(tiny_model).info
    with CpuTranslator(Slow(), info, TranslateOptions(), YUV, 1) as translator:
        translator.submit(frame(0))
        with pytest.raises(TimeoutError, match="device busy"):
            translator.collect(30)
        with pytest.raises(PipelineError, match="without a frame in flight"):
            translator.collect(30)


def test_close_drops_what_waits_and_wakes_everyone(tiny_model: Path) -> None:
    network, translator = gated(tiny_model, workers=1)
    for number in range(translator.depth):
        translator.submit(frame(number))
    assert network.entered.acquire(timeout=30)
    said: list[BaseException] = []

    def expect_the_end(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            said.append(error)

    def collect_all() -> None:
        for _ in range(translator.depth):
            translator.collect(30)

    calls = (lambda: translator.submit(frame(9)), collect_all, translator.close)
    threads = [threading.Thread(target=expect_the_end, args=(call,), daemon=True) for call in calls]
    for thread in threads[:2]:
        thread.start()
    dropped = translator._flying[1]
    threads[2].start()
    # The frame in the worker holds the gate; the one that waits is cancelled meanwhile.
    with pytest.raises(CancelledError):
        dropped.result(30)
    network.gate.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert [type(error) for error in said] == [BackendError, BackendError]
    assert all("closed" in str(error) for error in said)


def test_close_wakes_a_submit_that_nobody_makes_room_for(tiny_model: Path) -> None:
    network, translator = gated(tiny_model, workers=1)
    network.gate.set()
    for number in range(translator.depth):
        translator.submit(frame(number))
    said: list[BaseException] = []

    def one_more() -> None:
        try:
            translator.submit(frame(9))
        except BackendError as error:
            said.append(error)

    thread = threading.Thread(target=one_more, daemon=True)
    thread.start()
    translator.close()
    thread.join(30)
    assert not thread.is_alive() and "closed" in str(said[0])


def test_a_close_in_the_middle_of_a_submit(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, translator = gated(tiny_model)

    def update(pixels: np.ndarray, time_s: float) -> Levels:
        translator.close()
        return Levels(0, 1, 2)

    monkeypatch.setattr(translator._tracker, "update", update)
    with pytest.raises(BackendError, match="closed"):
        translator.submit(frame(0))
    with pytest.raises(BackendError, match="closed"):
        translator.collect(30)


def test_a_frame_that_is_refused_takes_no_slot(tiny_model: Path) -> None:
    network, translator = gated(tiny_model)
    network.gate.set()
    with translator:
        for _ in range(translator.depth):
            with pytest.raises(ValueError, match="unpack"):
                translator.submit(Frame(np.zeros((64, 96, 3), np.uint8), 0, 0))
        thread = threading.Thread(target=translator.submit, args=(frame(5),), daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        assert translator.collect(30).frame.sequence == 5


def test_pictures_and_frames_are_never_written_again(tiny_model: Path) -> None:
    options = TranslateOptions(backend="onnxruntime", threads=1, layout="side-by-side", mark=True)
    with create_translator(load_artifact(tiny_model), options, YUV) as translator:
        source = frame(0)
        before = source.pixels.copy()
        translator.submit(source)
        first = translator.collect(30).picture.data
        kept = first.copy()
        for number in (1, 2, 3):
            translator.submit(frame(number))
            translator.collect(30)
        assert np.array_equal(first, kept)
        assert np.array_equal(source.pixels, before)


def test_odd_sides_are_told_once_and_only_where_cropped(
    tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for picture, expected in ((YUV, 1), (RGB, 0)):
        caplog.clear()
        with (
            caplog.at_level(logging.WARNING, logger="ladle_rt"),
            create_translator(
                load_artifact(tiny_model), TranslateOptions(backend="onnxruntime"), picture
            ) as translator,
        ):
            for number in range(3):
                translator.submit(frame(number, (63, 96)))
                translator.collect(30)
        assert [record.getMessage() for record in caplog.records] == [
            "96x63 is odd: the picture is cropped to even by a pixel"
        ] * expected
