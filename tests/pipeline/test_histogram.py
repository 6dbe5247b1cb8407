from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.frame_stats import Percentiles
from ladle_rt.pipeline.histogram import Histogram, Recent, percentiles


@pytest.mark.parametrize("scale", [0.05, 3.0, 700.0])
def test_percentiles_agree_with_numpy(scale: float) -> None:
    values = np.random.default_rng(3).gamma(3, scale, 5000)
    histogram = Histogram()
    for value in values:
        histogram.add(float(value))
    found = histogram.percentiles()
    exact = np.percentile(values, [50, 90, 95, 99], method="inverted_cdf")
    assert [found.p50, found.p90, found.p95, found.p99] == pytest.approx(exact, rel=0.011)
    few = percentiles(values)
    assert [few.p50, few.p90, few.p95, few.p99] == pytest.approx(exact)


def test_nothing_and_extremes() -> None:
    assert Histogram().percentiles() == percentiles([]) == Percentiles()
    histogram = Histogram()
    for value in (-5.0, 0.0, 1e12):
        histogram.add(value)
    assert histogram.percentiles().p50 == 0.01
    assert histogram.percentiles().p99 > 9e5


def test_rate_falls_when_nothing_comes() -> None:
    recent = Recent()
    for tick in range(300):
        recent.add(tick / 30, tick)
    assert recent.rate(299 / 30) == pytest.approx(30, rel=0.01)
    assert recent.rate(299 / 30 + 2.5) == pytest.approx(15, rel=0.02)
    assert recent.rate(100.0) == 0.0
    assert recent.values(100.0) == []


def test_only_what_is_recent_is_kept() -> None:
    """A long stream must not fill memory up to some distant bound."""
    recent = Recent()
    for tick in range(3000):
        recent.add(tick / 30)
    assert len(recent._entries) <= 5 * 30 + 1
