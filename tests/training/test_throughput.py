"""Speed and waiting, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ladle_rt.training import throughput
from ladle_rt.training.throughput import Meter, Throughput


def test_first_batch_and_what_is_between_steps_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: now)

    def batches() -> Iterator[int]:
        nonlocal now
        for wait_s in (100.0, 1.0, 1.0):
            now += wait_s
            yield 0

    meter = Meter(processes=2)
    readings = []
    for _ in meter.waiting(batches()):
        with meter.step(4):
            now += 3.0
        readings.append(meter.read())
        now += 50.0
    assert readings[0] == Throughput(8 / 3, 1 / 3, data_wait=0.0)
    assert readings[1] == readings[2] == Throughput(2.0, 0.25, data_wait=0.25)
    assert meter.overall == Throughput(
        pytest.approx(24 / 11), pytest.approx(3 / 11), pytest.approx(2 / 11)
    )
    assert readings[1].columns() == {
        "samples_per_s": 2.0,
        "steps_per_s": 0.25,
        "data_wait": 0.25,
    }
