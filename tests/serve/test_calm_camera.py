"""What a flood next door may cost a calm camera, counted in turns and by a clock of its own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.serve.serve_config import CameraConfig, ServeConfig
from ladle_rt.serve.supervisor import Supervisor
from ladle_rt.translate import shared_workers
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.fair_pool import FairPool, Lane
from ladle_rt.translate.network import Array, Runner
from ladle_rt.translate.select import FOR_VIDEO


class Clockwork:
    """A machine of one core: a network that takes time by the pixel, and nothing else does."""

    name = "clockwork"

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def runner(self) -> Runner:
        def run(thermal: Array) -> Array:
            self.now_s += thermal.size * 1e-6
            return np.repeat(thermal, 3, axis=1)

        return run


@dataclasses.dataclass
class Camera:
    """Sends at its own pace, as a live stream does: one frame is translated, the newest waits."""

    translator: CpuTranslator
    size: tuple[int, int]
    period_s: float
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    waiting: Frame | None = None
    flying: list[Frame] = dataclasses.field(default_factory=list)
    latency_s: list[float] = dataclasses.field(default_factory=list)

    def live(self, now_s: float) -> None:
        """Everything that has happened up to a moment."""
        while self.counts["captured"] * self.period_s <= now_s:
            if self.waiting is not None:
                self.counts["dropped"] += 1
            number = self.counts["captured"]
            time_ns = round(number * self.period_s * 1e9)
            self.waiting = Frame(np.zeros(self.size, np.uint8), number, time_ns, time_ns, None)
            self.counts["captured"] += 1
            self.give()

    def give(self) -> None:
        if not self.flying and self.waiting is not None:
            self.translator.submit(self.waiting)
            self.flying, self.waiting = [self.waiting], None

    def take(self, now_s: float) -> None:
        if self.flying and self.translator._flying[0].done():
            shown = self.translator.collect()
            self.counts["shown"] += 1
            self.latency_s.append(now_s - shown.source.time_s)
            self.flying = []
            self.give()


def test_a_calm_camera_loses_nothing_beside_floods_that_lose_nearly_all(tiny_model: Path) -> None:
    machine = Clockwork()
    pool = FairPool(0, machine.clock)
    info = load_artifact(tiny_model).info

    def camera(side: int, period_s: float) -> Camera:
        options = TranslateOptions(size=(side, side))
        made = CpuTranslator(machine, info, options, FOR_VIDEO, 1, pool.lane())
        return Camera(made, (side, side), period_s)

    # 4 ms of work each 100 ms, and twice 65 ms of work each millisecond.
    calm, floods = camera(64, 0.1), [camera(256, 0.001) for _ in range(2)]
    everyone = [calm, *floods]
    while calm.counts["captured"] < 200:
        for one in everyone:
            one.live(machine.now_s)
        assert pool.turn()
        for one in everyone:
            one.take(machine.now_s)
    shown, captured = calm.counts["shown"], calm.counts["captured"]
    assert calm.counts["dropped"] == 0 and captured - shown == len(calm.flying)
    # It waits for the piece that runs, and for no other.
    assert max(calm.latency_s) <= 0.065536 + 0.004096 + 1e-9
    for one in floods:
        assert one.counts["dropped"] > 0.9 * one.counts["captured"]
    ratio = floods[0].counts["shown"] / floods[1].counts["shown"]
    assert 0.98 < ratio < 1.02
    for one in everyone:
        one.translator.close()


class CountingPool(FairPool):
    """Charges a second for each turn, and knows how many others came between."""

    def __init__(self, workers: int) -> None:
        self.turns = 0
        self.longest_wait: Counter[Lane] = Counter()
        super().__init__(workers, lambda: float(self.turns))

    def enqueue(self, lane: Lane, call: Callable[[], Any]) -> Any:
        came: list[int] = []

        def counted() -> Any:
            self.longest_wait[lane] = max(self.longest_wait[lane], self.turns - came[0])
            self.turns += 1
            return call()

        with self._changed:
            came.append(self.turns)
            return super().enqueue(lane, counted)


def test_in_the_real_thing_no_turn_of_a_calm_camera_waits_for_a_flood(
    config: Callable[..., ServeConfig], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[CountingPool] = []

    def make(workers: int) -> CountingPool:
        made.append(CountingPool(workers))
        return made[-1]

    monkeypatch.setattr(shared_workers, "FairPool", make)
    cameras = (
        CameraConfig("calm", "synthetic:64x48@10"),
        CameraConfig("flood", "synthetic:320x256@1000"),
        CameraConfig("flood2", "synthetic:320x256@1000"),
    )
    with Supervisor(config(*cameras), lambda line: None) as supervisor:
        until(lambda: supervisor.figures()["calm"].presented >= 10, 120)
        until(lambda: supervisor.figures()["flood"].presented >= 10, 120)
        (pool,) = made
        waits = dict(pool.longest_wait)
    # Those that run, and one of each other camera that was as far behind.
    assert len(waits) == 3 and max(waits.values()) <= pool.workers + 2
