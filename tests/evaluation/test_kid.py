"""Kernel distance against torchmetrics', and what its interval rests on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from ladle_rt.evaluation.kid import kernel_distance


def features(seed: int, count: int = 60, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.gamma(2, 0.4, (count, 32)) + shift).astype(np.float32)


def test_it_is_that_of_torchmetrics() -> None:
    x, y = features(1), features(2, shift=0.3)
    found = kernel_distance(x, y, ["d"] * 60)
    reference = poly_mmd(*(torch.from_numpy(one.astype(float)) for one in (y, x)))
    assert found is not None and found.pictures == 60
    assert found.value == pytest.approx(float(reference), rel=1e-6)


def test_one_kind_is_near_zero_and_another_far_from_it() -> None:
    near = kernel_distance(features(1, 200), features(2, 200), ["d"] * 200)
    far = kernel_distance(features(1, 200), features(2, 200, shift=0.5), ["d"] * 200)
    assert near is not None and far is not None
    assert abs(near.value) < 0.05 < 1 < far.value
    assert near.interval[0] < 0.05 and far.interval[0] < far.value < far.interval[1]
    same = kernel_distance(features(1, 200), features(1, 200), ["d"] * 200)
    assert same is not None and abs(same.value) < 0.05


def test_pictures_drawn_twice_are_not_compared_with_themselves() -> None:
    """Their own kernel is the largest there is: it would push every draw above the value."""
    found = kernel_distance(features(1, 30), features(2, 30, shift=0.2), ["d"] * 30)
    assert found is not None
    assert found.interval[0] < found.value < found.interval[1]


def test_whole_drives_are_drawn() -> None:
    """Ten drives of six pictures that differ by drive: the interval is wider than by pictures."""
    of_drive = np.repeat(features(3, 10), 6, axis=0)
    x, y = features(1) * 0.1 + of_drive, features(2) + 0.5
    drives = [str(number // 6) for number in range(60)]
    wide, narrow = kernel_distance(x, y, drives), kernel_distance(x, y, ["one"] * 60)
    assert wide is not None and narrow is not None and wide.value == narrow.value
    assert np.ptp(wide.interval) > 1.2 * np.ptp(narrow.interval)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(count: int) -> None:
    found = kernel_distance(features(1, count), features(2, count), ["d"] * count)
    if count < 2:
        assert found is None
    else:
        assert found is not None and np.isfinite([found.value, *found.interval]).all()
