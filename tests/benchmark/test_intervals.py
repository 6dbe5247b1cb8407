"""Intervals of figures."""

from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.benchmark.intervals import over_rounds, percentile_figures


def test_values_are_numpys_percentiles_of_all_rounds() -> None:
    rounds = [np.random.default_rng(seed).random(50).tolist() for seed in range(3)]
    found = percentile_figures(rounds)
    together = np.concatenate(rounds)
    for name, quantile in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        assert found[name].value == pytest.approx(np.percentile(together, quantile))
        assert found[name].low <= found[name].value <= found[name].high


def test_intervals_cover_the_truth() -> None:
    """Of 40 sets, 95 % of the intervals hold the true median; a few less may by chance."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        figure = percentile_figures([rng.normal(10, 1, 60).tolist() for _ in range(4)])["p50"]
        covered += figure.low <= 10 <= figure.high
    assert covered >= 35


def test_rounds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    alike = percentile_figures([rng.normal(10, 0.1, 60).tolist() for _ in range(4)])["p50"]
    apart = percentile_figures([rng.normal(10 + i, 0.1, 60).tolist() for i in range(4)])["p50"]
    assert alike.high - alike.low < 0.2 and apart.high - apart.low > 1


def test_over_rounds_is_students() -> None:
    found = over_rounds([9.0, 10.0, 11.0])
    # One standard deviation over the root of three, times t of two degrees of freedom.
    assert (found.value, found.high - found.value) == (10, pytest.approx(4.303 / 3**0.5, rel=1e-3))
    assert over_rounds([0.0, 2.0]).low == 0
    assert over_rounds([3.0]).to_list() == [3.0, 3.0, 3.0]
    covered = 0
    for seed in range(200):
        figure = over_rounds(np.random.default_rng(seed).normal(10, 1, 12).tolist())
        covered += figure.low <= 10 <= figure.high
    assert covered >= 182
