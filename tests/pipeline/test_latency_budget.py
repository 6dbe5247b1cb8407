from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.pipeline.latency_budget import LatencyBudget
from ladle_rt.translate.network_size import ladder

FULL = (192, 256)


def simulate(
    budget: LatencyBudget,
    seconds: float,
    latency_ms: Callable[[float, tuple[int, int]], float],
    start_s: float = 0.0,
    size: tuple[int, int] = FULL,
) -> list[tuple[float, tuple[int, int]]]:
    """Moves over time; latency is a function of the time and of the current size."""
    moves = []
    for tick in range(round(seconds * 10)):
        now_s = start_s + tick / 10
        move = budget.update(now_s, latency_ms(now_s, size), overloaded=False)
        if move is not None:
            size = move.size
            moves.append((now_s, size))
    return moves


def by_work(factor: float) -> Callable[[float, tuple[int, int]], float]:
    """Latency in proportion to the box: ``factor`` ms at full size."""
    return lambda now_s, size: factor * size[0] * size[1] / (FULL[0] * FULL[1])


def test_steps_down_until_it_fits_and_stays_there() -> None:
    budget = LatencyBudget(30, ladder(FULL, FULL), FULL)
    moves = simulate(budget, 60, by_work(50))
    assert moves[0][1] == (160, 224)
    assert moves[-1][1] == (128, 160)
    # By the work the larger box would take 36 ms again, so no step up is tried.
    assert len(moves) == 2


def test_a_short_peak_changes_nothing() -> None:
    budget = LatencyBudget(30, ladder(FULL, FULL), FULL)
    assert simulate(budget, 20, lambda now_s, size: 80 if 5 <= now_s < 5.4 else 20) == []


def test_comes_back_when_the_load_is_gone() -> None:
    budget = LatencyBudget(30, ladder(FULL, FULL), FULL)
    calm = by_work(12)
    moves = simulate(
        budget,
        60,
        lambda now_s, size: by_work(90)(now_s, size) if now_s < 10 else calm(now_s, size),
    )
    assert min(size for _, size in moves) == (96, 128)
    assert moves[-1][1] == FULL
    assert moves[-1][0] > 10 + 2 * 5


def test_failed_steps_up_become_rarer() -> None:
    """The work says that there is room, the clock says that there is none."""
    budget = LatencyBudget(30, ladder(FULL, FULL), FULL)

    def deceptive(now_s: float, size: tuple[int, int]) -> float:
        return 40.0 if size == FULL else 10.0

    moves = simulate(budget, 400, deceptive)
    tried = [now_s for now_s, size in moves if size == FULL]
    gaps = [round(after - before) for before, after in itertools.pairwise(tried)]
    assert len(gaps) >= 3
    assert gaps == sorted(gaps) and gaps[-1] > 3 * gaps[0]


def test_dropped_frames_count_as_late() -> None:
    budget = LatencyBudget(1000, ladder(FULL, FULL), FULL)
    moves = [budget.update(tick / 10, 5.0, overloaded=True) for tick in range(10)]
    assert [move.size for move in moves if move] == [(160, 224)]
    assert "dropped" in next(move.reason for move in moves if move)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigError, match="> 0 ms, received 0"):
        LatencyBudget(0, ladder(FULL, FULL), FULL)


def test_climbs_from_a_small_box_as_far_as_it_keeps_up() -> None:
    largest = (512, 640)
    assert (
        simulate(LatencyBudget(1000, ladder(largest, FULL), FULL), 60, by_work(10))[-1][1]
        == largest
    )
    moves = simulate(LatencyBudget(30, ladder(largest, FULL), FULL), 60, by_work(10))
    assert [size for _, size in moves] == [(256, 320)]
    # And from there down as before.
    moves = simulate(LatencyBudget(30, ladder(largest, FULL), FULL), 60, by_work(50))
    assert [size for _, size in moves] == [(160, 224), (128, 160)]
