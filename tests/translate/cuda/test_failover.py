"""The GPU is lost in the middle of a run: every frame gets its picture, and one line says why."""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError, ModelError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.base import Translator
from ladle_rt.translate.cuda.gpu_translator import GpuTranslator
from ladle_rt.translate.failover import FailoverTranslator

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeEngine, FakeGpu

RGB = PictureSpec("rgb24", False)
SHAPE = (20, 28)
FRAMES = 6
LIMIT_S = 30
BOX = TranslateOptions(size=(32, 32))
ON_CPU = TranslateOptions(size=(32, 32), backend="onnxruntime", threads=1)


@pytest.fixture(scope="module")
def artifact(tiny_model: Path) -> ModelArtifact:
    return load_artifact(tiny_model)


def frame(number: int) -> Frame:
    pixels = np.tile(np.arange(SHAPE[1], dtype=np.uint8) * 9, (SHAPE[0], 1))
    return Frame(pixels, number, timestamp_ns=number * 33_000_000)


def guarded(
    gpu: FakeGpu, artifact: ModelArtifact, options: TranslateOptions = ON_CPU
) -> Translator:
    ours = GpuTranslator(
        gpu.open, lambda _: FakeEngine(gpu), artifact.info, BOX, RGB, image=lambda _: b"cubin"
    )
    return FailoverTranslator(ours, lambda: create_translator(artifact, options, RGB))


def numbers(translator: Translator) -> list[int]:
    """Sequence numbers of the pictures of a whole run."""
    found, flying = [], 0
    for number in range(FRAMES):
        while flying >= translator.depth:
            found.append(translator.collect(LIMIT_S).frame.sequence)
            flying -= 1
        assert translator.submit(frame(number)) == number
        flying += 1
    translator.followed_levels()
    return found + [translator.collect(LIMIT_S).frame.sequence for _ in range(flying)]


def test_wherever_it_is_lost_every_frame_has_its_picture(
    artifact: ModelArtifact, caplog: pytest.LogCaptureFixture
) -> None:
    healthy = FakeGpu()
    with guarded(healthy, artifact) as translator:
        started = Counter(healthy.calls)
        assert numbers(translator) == list(range(FRAMES))
        running = Counter(healthy.calls)
    turns = [(name, turn) for name in running for turn in range(started[name], running[name], 3)]
    assert len(turns) > 20
    for turn in turns:
        caplog.clear()
        gpu = FakeGpu(fail_at=turn, lost=True)
        with (
            caplog.at_level(logging.WARNING, "ladle_rt.engine"),
            guarded(gpu, artifact) as translator,
        ):
            assert numbers(translator) == list(range(FRAMES)), turn
            assert translator.name == "onnxruntime (1 workers)", turn
        lines = [r.message for r in caplog.records if r.name == "ladle_rt.engine"]
        assert len(lines) == 1 and "\n" not in lines[0], turn
        assert lines[0].endswith("; going on with onnxruntime (1 workers)"), turn
        assert not any(gpu.live.values()) and gpu.closed, turn


def test_with_a_thread_that_submits_and_one_that_collects(artifact: ModelArtifact) -> None:
    gpu = FakeGpu(fail_at=("synchronize_event", 20), lost=True)
    count, submitted = 60, threading.Semaphore(0)
    with guarded(gpu, artifact) as translator:

        def submit() -> None:
            for number in range(count):
                translator.submit(frame(number))
                submitted.release()

        thread = threading.Thread(target=submit)
        thread.start()
        found = []
        for _ in range(count):
            assert submitted.acquire(timeout=LIMIT_S)
            found.append(translator.collect(LIMIT_S).frame.sequence)
        thread.join(LIMIT_S)
    assert gpu.failed and found == list(range(count))


def test_the_other_goes_on_from_the_levels_of_the_last_picture(artifact: ModelArtifact) -> None:
    gpu = FakeGpu(fail_at=("synchronize_event", 3), lost=True)
    with guarded(gpu, artifact) as translator:
        numbers(translator)
        levels = translator.followed_levels()
    assert levels is not None and levels.time_s == frame(FRAMES - 1).time_s


def test_a_size_that_the_network_is_given_is_kept(artifact: ModelArtifact) -> None:
    gpu = FakeGpu(fail_at=("synchronize_event", 0), lost=True)
    with guarded(gpu, artifact) as translator:
        translator.resize((64, 64))
        translator.submit(frame(0))
        translator.collect(LIMIT_S)
        assert translator.network_size == (64, 64)


def test_a_failure_of_the_other_is_the_runs(artifact: ModelArtifact) -> None:
    first, second = (FakeGpu(fail_at=("synchronize_event", 0), lost=True) for _ in range(2))

    def on(gpu: FakeGpu) -> Translator:
        return GpuTranslator(
            gpu.open, lambda _: FakeEngine(gpu), artifact.info, BOX, RGB, image=lambda _: b""
        )

    with FailoverTranslator(on(first), lambda: on(second)) as translator:
        for _ in range(2):
            with pytest.raises(BackendError, match="synchronize_event failed on the GPU"):
                numbers(translator)
    assert first.closed and second.closed


def test_where_there_is_no_other(artifact: ModelArtifact) -> None:
    gpu = FakeGpu(fail_at=("synchronize_event", 0), lost=True)

    def none() -> Translator:
        raise ModelError("weights are damaged")

    ours = GpuTranslator(
        gpu.open, lambda _: FakeEngine(gpu), artifact.info, BOX, RGB, image=lambda _: b""
    )
    with FailoverTranslator(ours, none) as translator:
        translator.submit(frame(0))
        with pytest.raises(ModelError):
            translator.collect(LIMIT_S)


def test_closed_is_closed(artifact: ModelArtifact) -> None:
    gpu = FakeGpu()
    translator = guarded(gpu, artifact)
    translator.submit(frame(0))
    translator.close()
    translator.close()
    with pytest.raises(BackendError, match="closed"):
        translator.submit(frame(1))
    assert gpu.nothing_left()
