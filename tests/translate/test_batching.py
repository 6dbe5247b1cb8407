"""Frames of several workers in one run: the same pictures, in time, each to its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError, ConfigError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import batching
from ladle_rt.translate.batching import Batching, BatchingNetwork
from ladle_rt.translate.network import Array, Runner
from ladle_rt.translate.select import FOR_ARRAYS, TranslatorFactory
from ladle_rt.translate.shared_workers import SharedWorkers

LIMIT_S = 20


class Tripling:
    """A network whose picture is the frame three times; remembers its runs."""

    name = "tripling"

    def __init__(self, most: int = 64, fails: bool = False) -> None:
        self.runs: list[int] = []
        self.fails = fails
        self._most = most

    def runner(self) -> Runner:
        def run(thermal: Array) -> Array:
            if len(thermal) > self._most:
                raise BackendError("one at a time")
            self.runs.append(len(thermal))
            if self.fails:
                raise BackendError("out of memory")
            return np.repeat(thermal, 3, axis=1)

        return run


def together(network: BatchingNetwork, frames: list[Array]) -> list[Array]:
    start = threading.Barrier(len(frames))

    def one(frame: Array) -> Array:
        start.wait(LIMIT_S)
        return network.runner()(frame)

    with ThreadPoolExecutor(len(frames)) as pool:
        return list(pool.map(one, frames))


def plane(value: float, side: int = 32) -> Array:
    return np.full((1, 1, side, side), value, np.float32)


class Patient(threading.Event):
    """Waits for as long as a slow machine needs to bring the frames together."""

    waits: ClassVar[list[bool]] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(super().wait(LIMIT_S))
        return self.waits[-1]


def test_frames_share_a_run_and_each_gets_its_own_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Tripling()
    network = BatchingNetwork(inner, Batching(4, 1000))
    inner.runs.clear()
    monkeypatch.setattr(batching, "threading", SimpleNamespace(Event=Patient))
    pictures = together(network, [plane(value / 8) for value in range(8)])
    # Full batches do not wait: their frames end it, not the clock.
    assert inner.runs == [4, 4] and Patient.waits == [True, True]
    for value, picture in enumerate(pictures):
        assert picture.shape == (1, 3, 32, 32) and (picture == value / 8).all()


def test_a_frame_alone_waits_no_longer_than_the_bound() -> None:
    inner = Tripling()
    network = BatchingNetwork(inner, Batching(4, 20))
    inner.runs.clear()
    began_s = time.monotonic()
    network.runner()(plane(0.5))
    assert 0.015 < time.monotonic() - began_s < LIMIT_S and inner.runs == [1]


def test_frames_of_other_sizes_go_by_themselves() -> None:
    inner = Tripling()
    network = BatchingNetwork(inner, Batching(2, 1000))
    inner.runs.clear()
    frames = [plane(0.1), plane(0.2, 64), plane(0.3), plane(0.4, 64)]
    for frame, picture in zip(frames, together(network, frames), strict=True):
        assert picture.shape[2:] == frame.shape[2:] and (picture == frame).all()
    assert inner.runs == [2, 2]


def test_a_run_that_fails_fails_for_all_of_it_and_the_next_does_not() -> None:
    inner = Tripling()
    network = BatchingNetwork(inner, Batching(2, 1000))
    inner.fails = True
    with pytest.raises(BackendError, match="out of memory"):
        together(network, [plane(0), plane(1)])
    inner.fails = False
    assert (together(network, [plane(0), plane(1)])[1] == 1).all()


def test_a_network_of_one_frame_at_a_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="one frame at a time"):
        BatchingNetwork(Tripling(most=1), Batching(2))


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"frames": 65}, {"wait_ms": -1.0}])
def test_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="batch"):
        Batching(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("batching", [Batching(), Batching(4, 200)], ids=["alone", "batched"])
def test_translators_that_share_paint_what_one_alone_paints(
    tiny_model: Path, batching: Batching, frame_of: Callable[[int], Frame]
) -> None:
    artifact = load_artifact(tiny_model)
    options = TranslateOptions(backend="onnxruntime", threads=2)
    alone = TranslatorFactory(artifact, options, "fast", FOR_ARRAYS)
    with alone((48, 64)) as translator:
        wanted = []
        for seed in range(4):
            translator.submit(frame_of(seed))
            wanted.append(translator.collect(LIMIT_S).picture.data)
    shared = SharedWorkers(2, batching)
    sharing = TranslatorFactory(artifact, options, "fast", FOR_ARRAYS, shared=shared)
    several = [sharing((48, 64)) for _ in range(3)]
    assert "shared" in several[0].name and several[0].depth == 2 * max(1, shared.workers // 3)
    for seed in range(4):
        for translator in several:
            translator.submit(frame_of(seed))
        for translator in several:
            picture = translator.collect(LIMIT_S).picture.data
            assert np.abs(picture.astype(int) - wanted[seed].astype(int)).max() <= 1
    several.pop().close()
    several[0].submit(frame_of(9))
    several[0].collect(LIMIT_S)
    for translator in several:
        translator.close()
    shared.close()


@pytest.fixture
def frame_of() -> Callable[[int], Frame]:
    def make(seed: int) -> Frame:
        pixels = np.random.default_rng(seed).integers(0, 255, (48, 64), dtype=np.uint8)
        return Frame(pixels, seed, seed * 40_000_000, seed, None)

    return make
