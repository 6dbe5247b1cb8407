"""Every call fails once, in turn: no hang, no leak, one clear error."""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.cuda.gpu import gpu_error
from ladle_rt.errors import BackendError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import ModelInfo, load_artifact
from ladle_rt.translate import PictureSpec
from ladle_rt.translate.cuda import frame_shapes
from ladle_rt.translate.cuda.gpu_translator import GpuTranslator
from ladle_rt.translate.cuda.label import Label

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeEngine, FakeGpu

SHAPES = [(20, 28), (20, 28), (20, 28), (28, 20), (28, 20)]
"""A change of size midway."""


@pytest.fixture(scope="module")
def info(tiny_model: Path) -> ModelInfo:
    return load_artifact(tiny_model).info


@pytest.fixture(autouse=True)
def _small_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fits into these frames, so that uploading it is among what can fail.

    Drawing one would take 20 ms in each new thread, where OpenCV reads its font again.
    """
    drawn = Label(np.zeros((2, 4), np.uint8), 0, 0)
    monkeypatch.setattr(frame_shapes, "draw", lambda size, pixel_format: drawn)


def drive(gpu: FakeGpu, info: ModelInfo, capturable: bool = True) -> tuple[list[str], int]:
    """A whole life; what it said, and how many pictures it gave."""
    said, pictures = [], 0
    try:
        ours = GpuTranslator(
            gpu.open,
            lambda _: FakeEngine(gpu, capturable=capturable),
            info,
            TranslateOptions(size=(32, 32), mark=True),
            PictureSpec("yuv420p", True),
            slots=2,
            image=lambda capability: b"cubin",
        )
    except BackendError as error:
        return [str(error)], 0
    with ours:
        flying = 0
        for number, shape in enumerate([*SHAPES, None, None]):
            try:
                if shape is not None:
                    pixels = np.full(shape, number, np.uint8)
                    ours.submit(Frame(pixels, number, number))
                    flying += 1
                if flying == ours.depth or (shape is None and flying):
                    flying -= 1
                    ours.collect(30)
                    pictures += 1
            except BackendError as error:
                said.append(str(error))
    return said, pictures


def calls(info: ModelInfo, capturable: bool, integrated: bool) -> list[str]:
    gpu = FakeGpu(integrated=integrated)
    said, pictures = drive(gpu, info, capturable)
    assert not said and pictures == len(SHAPES) and gpu.nothing_left()
    return gpu.calls


@pytest.mark.parametrize("lost", [False, True], ids=["once", "lost"])
@pytest.mark.parametrize(
    ("capturable", "integrated"),
    [(False, False), (True, False), (True, True)],
    ids=["pieces", "graphs", "one memory"],
)
def test_every_call_fails_in_turn(
    info: ModelInfo,
    caplog: pytest.LogCaptureFixture,
    capturable: bool,
    integrated: bool,
    lost: bool,
) -> None:
    counts = Counter(calls(info, capturable, integrated))
    turns = [(name, turn) for name, count in counts.items() for turn in range(count)]
    assert len(turns) > 100
    threads = threading.active_count()
    for turn in turns:
        caplog.clear()
        gpu = FakeGpu(fail_at=turn, lost=lost, integrated=integrated)
        with caplog.at_level(logging.WARNING):
            said, pictures = drive(gpu, info, capturable)
        warned = [record.getMessage() for record in caplog.records]
        context = str(turn)
        assert gpu.failed == turn[0], context
        assert not gpu.violations, context
        assert not any(gpu.live.values()) and gpu.closed, context
        assert threading.active_count() <= threads, context
        lines = [*dict.fromkeys(said), *warned]
        assert len(lines) == 1, f"{context}: {lines}"
        assert f"{turn[0]} failed on the GPU: injected at {turn}" in lines[0], context
        if warned and not lost:
            # It went on: without graphs, or after the last picture.
            assert pictures == len(SHAPES), context


def test_capture_that_fails_is_said_once(info: ModelInfo, caplog: pytest.LogCaptureFixture) -> None:
    gpu = FakeGpu(fail_at=("begin_capture", 0))
    with caplog.at_level(logging.WARNING):
        said, pictures = drive(gpu, info)
    assert not said and pictures == len(SHAPES)
    (record,) = caplog.records
    assert record.getMessage().startswith("CUDA graphs are not used: begin_capture failed")
    # The other size is captured again: two frames of three stages, and as many to make ready.
    assert gpu.calls.count("launch_graph") == 12


def test_capture_that_never_works_is_said_once(
    info: ModelInfo, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu()

    def end_capture(stream: int) -> int:
        gpu._capture = None
        raise gpu_error("end_capture", "operation not permitted")

    monkeypatch.setattr(gpu, "end_capture", end_capture)
    with caplog.at_level(logging.WARNING):
        said, pictures = drive(gpu, info)
    assert not said and pictures == len(SHAPES) and gpu.nothing_left()
    assert len(caplog.records) == 1 and "launch_graph" not in gpu.calls


def test_a_failure_is_repeated_to_whoever_asks(info: ModelInfo) -> None:
    gpu = FakeGpu(fail_at=("synchronize_event", 0), lost=True)
    ours = GpuTranslator(
        gpu.open,
        lambda _: FakeEngine(gpu),
        info,
        TranslateOptions(size=(32, 32), mark=True),
        PictureSpec("yuv420p", True),
        slots=3,
        image=lambda capability: b"cubin",
    )
    pixels = np.zeros((20, 28), np.uint8)
    said = []
    ours.submit(Frame(pixels, 0, 0))
    for call in (
        lambda: ours.collect(30),
        lambda: ours.submit(Frame(pixels, 1, 1)),
        lambda: ours.collect(30),
    ):
        with pytest.raises(BackendError) as caught:
            call()
        said.append(str(caught.value))
    ours.close()
    assert len(set(said)) == 1 and "synchronize_event failed on the GPU" in said[0]
    assert gpu.nothing_left()


def test_a_bug_keeps_its_traceback(info: ModelInfo) -> None:
    def broken(thermal: Any) -> Any:
        raise ZeroDivisionError("a bug")

    gpu = FakeGpu()
    ours = GpuTranslator(
        gpu.open,
        lambda _: FakeEngine(gpu, broken),
        info,
        TranslateOptions(size=(32, 32)),
        PictureSpec("yuv420p", True),
        image=lambda capability: b"cubin",
    )
    with ours:
        ours.submit(Frame(np.zeros((20, 28), np.uint8), 0, 0))
        with pytest.raises(ZeroDivisionError) as caught:
            ours.collect(30)
        assert any(entry.name == "broken" for entry in caught.traceback)
        with pytest.raises(BackendError, match="a bug"):
            ours.submit(Frame(np.zeros((20, 28), np.uint8), 1, 1))
    assert not any(gpu.live.values())


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("cuMemAlloc failed: out of memory", "smaller --size"),
        ("CUDA_ERROR_OUT_OF_MEMORY (2)", "smaller --size"),
        ("an illegal memory access was encountered", "lost to this program"),
        ("no kernel image is available for execution on the device", "delete the kernels"),
        ("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900)", "runs piece by piece"),
        ("two\nlines", "two lines"),
    ],
)
def test_errors_say_what_to_do(status: str, hint: str) -> None:
    line = str(gpu_error("cuSomething", status))
    assert line.startswith("cuSomething failed on the GPU: ") and hint in line
    assert "\n" not in line
