"""Several cameras through one engine of a GPU: batches, each picture to its own, failures."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.errors import BackendError, ConfigError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate.batching import Batching, BatchingNetwork
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.cuda.gpu_network import GpuNetwork
from ladle_rt.translate.network import Array
from ladle_rt.translate.select import FOR_ARRAYS
from ladle_rt.translate.shared_workers import SharedWorkers

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeEngine, FakeGpu

LIMIT_S = 60
WEIGHTS = np.array([0.25, 0.5, 1], np.float32)[:, None, None]


def paint(thermal: Array) -> Array:
    """A network: three shares of the frame."""
    return thermal * WEIGHTS


class Opened:
    """A network, and what it opened."""

    def __init__(
        self,
        fail_at: tuple[str, int] | None = None,
        gpus: list[FakeGpu] | None = None,
        **engine: Any,
    ) -> None:
        self.gpus: list[FakeGpu] = [] if gpus is None else gpus
        self.runs: list[int] = []

        def open_gpu() -> FakeGpu:
            # Only the first of them fails.
            self.gpus.append(FakeGpu(fail_at=None if self.gpus else fail_at, lost=True).open())
            return self.gpus[-1]

        def network(thermal: Array) -> Array:
            self.runs.append(len(thermal))
            return paint(thermal)

        self.network = GpuNetwork(open_gpu, lambda gpu: FakeEngine(gpu, network, **engine))  # type: ignore[arg-type, return-value]

    def close(self) -> None:
        self.network.close()
        assert all(one.nothing_left() and not one.violations for one in self.gpus)


def planes(count: int, side: int = 32) -> Array:
    return np.random.default_rng(count).random((count, 1, side, side), np.float32)


def test_batches_of_any_number_and_size_in_turn() -> None:
    opened = Opened()
    run = opened.network.runner()
    for thermal in (planes(1), planes(4), planes(2), planes(2, 64), planes(8), planes(1)):
        assert np.array_equal(run(thermal), paint(thermal))
    assert opened.network.name == "fake on Fake" and opened.runs == [1, 4, 2, 2, 8, 1]
    # Memory only grows: for one frame, four, two larger ones; the same for eight.
    (gpu,) = opened.gpus
    assert gpu.calls.count("allocate_pinned") == 2 * 3
    opened.close()
    with pytest.raises(BackendError, match="closed"):
        run(planes(1))
    opened.network.close()


def test_half_precision_at_the_border() -> None:
    opened = Opened(network_dtype="float16")
    thermal = planes(3)
    output = opened.network.runner()(thermal)
    assert output.dtype == np.float32
    assert np.abs(output - paint(thermal)).max() < 1e-3
    opened.close()


def test_frames_of_cameras_that_come_together_share_a_run() -> None:
    opened = Opened()
    network = BatchingNetwork(opened.network, Batching(4, 1000), True, clock=lambda: 0.0)
    frames = planes(8)
    start = threading.Barrier(8)

    def one(number: int) -> Array:
        start.wait(LIMIT_S)
        return network.runner()(frames[number : number + 1])

    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(one, range(8)))
    assert opened.runs == [4, 4]
    assert all(
        np.array_equal(out[0], paint(frame)) for out, frame in zip(outputs, frames, strict=True)
    )
    opened.close()


def test_a_plan_takes_as_many_frames_as_it_was_built_for() -> None:
    profiles = BuildSettings(sizes=((32, 32),), batch=4).profiles()
    assert profiles == (((1, 1, 32, 32), (4, 1, 32, 32), (4, 1, 32, 32)),)
    opened = Opened(profiles=profiles)
    run = opened.network.runner()
    assert run(planes(4)).shape == (4, 3, 32, 32)
    with pytest.raises(ConfigError):
        run(planes(5))
    # Nothing has happened to the GPU.
    assert run(planes(3)).shape == (3, 3, 32, 32) and len(opened.gpus) == 1
    opened.close()


@pytest.mark.parametrize("call", ["engine.enqueue", "copy_to_device", "synchronize_event"])
def test_after_a_failure_everything_is_opened_anew(call: str) -> None:
    opened = Opened((call, 1))
    run = opened.network.runner()
    run(planes(2))
    with pytest.raises(BackendError, match="injected"):
        run(planes(2))
    assert np.array_equal(run(planes(3)), paint(planes(3)))
    assert len(opened.gpus) == 2
    opened.network.close()
    assert opened.gpus[1].nothing_left() and not opened.gpus[1].violations


@pytest.mark.parametrize("call", ["engine.open", "create_stream", "create_event"])
def test_a_start_that_fails_gives_back_what_it_took(call: str) -> None:
    gpus: list[FakeGpu] = []
    with pytest.raises(BackendError, match="injected"):
        Opened((call, 0), gpus)
    assert gpus[0].nothing_left() and not gpus[0].violations


def test_translators_of_several_cameras_keep_their_order(tiny_model: Path) -> None:
    opened = Opened()
    shared = SharedWorkers(2, Batching(4, 50))
    shared.at_end(opened.close)
    network = shared.network("gpu", lambda: opened.network, takes_batches=True)
    info, options = load_artifact(tiny_model).info, TranslateOptions(size=(32, 32), detail="none")
    cameras = [
        CpuTranslator(network, info, options, FOR_ARRAYS, shared.workers, shared.lane())
        for _ in range(3)
    ]
    # The third has stalled: it never sends anything.
    for number in range(10):
        for camera in cameras[:2]:
            pixels = np.full((32, 32), 100 + number, np.uint8)
            camera.submit(Frame(pixels, number, number * 40_000_000, number, None))
        for camera in cameras[:2]:
            assert camera.collect(LIMIT_S).frame.sequence == number
    assert sum(opened.runs) == 20 and len(opened.runs) < 20
    for camera in cameras:
        camera.close()
    shared.close()
