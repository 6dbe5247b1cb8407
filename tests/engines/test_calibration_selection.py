"""Choosing frames: nothing is drowned, nothing depends on chance."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladle_rt.engines.calibration.selection import (
    KINDS,
    PHASES,
    Candidate,
    choose,
    signature,
    spaced,
    with_kinds,
)


def candidate(index: int = 0, level: float = 0.5, **facts: Any) -> Candidate:
    thermal = np.linspace(level - 0.04, level + 0.04, 64, dtype=np.float32)
    values: dict[str, Any] = {"origin": "o", "sequence": "s", "light": "day", **facts}
    return Candidate(
        name=str(index),
        sha256=f"{index:064x}",
        percentiles=(0, 1, 2),
        signature=signature(thermal),
        file=Path("unused.png"),
        **values,
    )


def test_all_where_there_are_fewer() -> None:
    assert choose([candidate()] * 3, 5) == [0, 1, 2]


def test_a_long_drive_does_not_drown_a_short_one() -> None:
    lengths = {"short": 6, "long": 500, "longer": 900}
    items = [candidate(sequence=name) for name, count in lengths.items() for _ in range(count)]
    chosen = choose(items, 86)
    assert Counter(items[index].sequence for index in chosen) == {
        "short": 6,
        "long": 40,
        "longer": 40,
    }
    # And all of a drive, not its beginning.
    long = [index - 6 for index in chosen if items[index].sequence == "long"]
    assert max(np.diff(long)) <= 14 and long[0] < 14 and long[-1] > 486


def test_few_frames_of_many_kinds_come_from_all_over_a_recording() -> None:
    items = [candidate(kind=index % 8) for index in range(800)]
    chosen = choose(items, 8)
    assert {index // 200 for index in chosen} == {0, 1, 2, 3}


@pytest.mark.parametrize("fact", ["origin", "sequence", "light", "kind"])
def test_every_difference_counts(fact: str) -> None:
    items = [candidate(**{fact: value}) for value in (0, 1) for _ in range(1 + 99 * value)]
    assert choose(items, 2)[0] == 0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60),
    st.integers(1, 70),
)
def test_always_the_number_asked_for(groups: list[tuple[int, int]], count: int) -> None:
    items = [candidate(kind=kind, sequence=str(number)) for kind, number in groups]
    chosen = choose(items, count)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(count, len(items))


@given(st.integers(0, 200), st.integers(0, 250), st.integers(0, PHASES - 1))
def test_spaced(available: int, wanted: int, phase: int) -> None:
    indices = spaced(available, wanted, phase)
    assert len(set(indices)) == min(available, wanted)
    assert all(0 <= index < available for index in indices)
    gaps = np.diff(indices)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


def test_kinds_tell_histograms_apart() -> None:
    levels = [0.1, 0.5, 0.9]
    items = with_kinds([candidate(index, levels[index % 3]) for index in range(60)])
    of_level = [{item.kind for item in items[start::3]} for start in range(3)]
    assert not (of_level[0] & of_level[1] or of_level[1] & of_level[2] or of_level[0] & of_level[2])
    assert set().union(*of_level) <= set(range(KINDS))


def test_kinds_do_not_depend_on_chance() -> None:
    rng = np.random.default_rng(0)
    items = [candidate(index, float(rng.uniform(0.1, 0.9))) for index in range(80)]
    first, second = ([item.kind for item in with_kinds(items)] for _ in range(2))
    assert first == second and len(set(first)) == KINDS


def test_fewer_frames_than_kinds() -> None:
    assert [item.kind for item in with_kinds([candidate()] * 3)] == [0, 1, 2]
