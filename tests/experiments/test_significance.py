"""Intervals over seeds, drives and frames cover what they should and are paired."""

from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.benchmark.intervals import Figure
from ladle_rt.experiments.significance import Resampling, against_claim, holm

DRIVES = [f"drive {number // 10}" for number in range(80)]


def scores(seed: int, shift: float = 0.0) -> np.ndarray:
    """Three seeds on eight drives: drives differ far more than arms."""
    rng = np.random.default_rng(seed)
    places = np.repeat(np.random.default_rng(0).normal(0.5, 0.1, 8), 10)
    return places + shift + rng.normal(0, 0.01, (3, 80))


def test_every_drive_counts_the_same() -> None:
    values = np.array([[1.0, 1.0, 1.0, 0.0]])
    assert Resampling(["a", "a", "a", "b"], 1).figure(values).value == 0.5


def test_a_small_difference_shows_though_drives_differ_more() -> None:
    drawn = Resampling(DRIVES, 3)
    found = drawn.difference(scores(1, 0.02), scores(2))
    assert found.absolute.low > 0 and found.p < 0.01 and found.agree == 3
    apart = drawn.figure(scores(1, 0.02)).low - drawn.figure(scores(2)).high
    assert apart < 0, "unpaired intervals overlap"
    assert found.percent is not None and found.percent.low < 4 < found.percent.high


def test_no_difference_is_seldom_called_one() -> None:
    drawn = Resampling(DRIVES, 3)
    called = 0
    for number in range(60):
        rng = np.random.default_rng(1000 + number)
        # Each drive likes one arm more, at random.
        taste = np.repeat(rng.normal(0, 0.02, 8), 10)
        found = drawn.difference(scores(2 * number) + taste, scores(2 * number + 1))
        called += not found.absolute.low <= 0 <= found.absolute.high
    assert called <= 12, "expected about 5 to 10 % of 60"


def test_seeds_that_disagree_widen_the_interval() -> None:
    steady = np.full((3, 80), 0.5)
    moody = steady + np.array([[-0.1], [0.0], [0.1]])
    assert (
        Resampling(DRIVES, 3).figure(moody).high - 0.5
        > Resampling(DRIVES, 3).figure(steady).high - 0.5 + 0.05
    )


def test_a_model_without_seeds_stands_beside_every_seed() -> None:
    found = Resampling(DRIVES, 3).difference(scores(1), scores(2)[:1])
    assert found.seeds == 3


def test_few_drives_are_said_to_flatter() -> None:
    assert "optimistic, fewer than 5 drives" in Resampling(["a", "b"], 2).over
    assert Resampling(DRIVES, 1).over == "1 seed, 8 drives and their frames"


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_claims() -> None:
    words = [
        against_claim(Figure(value, value - 1, value + 1), 12.4) for value in (2.0, 12.0, 20.0)
    ]
    assert words == ["not reached", "inside the interval", "exceeded"]
    assert against_claim(None, 12.4) == "not measured"
