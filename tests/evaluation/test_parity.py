"""Differences between engines, against their definition."""

from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.errors import DatasetError
from ladle_rt.evaluation.parity import parity

FRAMES = [np.full((2, 3), value, np.float32) for value in (0.25, 0.5)]


def test_largest_and_mean_difference_over_all_frames() -> None:
    def off(thermal: np.ndarray) -> np.ndarray:
        result = np.repeat(thermal, 3, axis=1)
        result[0, 1, 0, 0] += 0.1 if thermal[0, 0, 0, 0] == 0.5 else 0.0
        return result

    def same(thermal: np.ndarray) -> np.ndarray:
        return np.repeat(thermal, 3, axis=1)

    found = parity(same, {"same": same, "off": off}, FRAMES)
    assert found.frames == 2
    assert (found.engines["same"].max_abs, found.engines["same"].mean_abs) == (0, 0)
    assert found.engines["off"].max_abs == pytest.approx(0.1)
    assert found.engines["off"].mean_abs == pytest.approx(0.1 / 36)
    assert found.engines["off"].within(0.11) and not found.engines["off"].within(0.09)
    assert found.to_dict()["engines"]["off"]["max_abs"] == pytest.approx(0.1)


def test_nan_is_never_within() -> None:
    def broken(thermal: np.ndarray) -> np.ndarray:
        return np.repeat(thermal, 3, axis=1) * np.float32("nan" if thermal.max() < 0.3 else 1)

    found = parity(lambda x: np.repeat(x, 3, axis=1), {"broken": broken}, FRAMES)
    assert not found.engines["broken"].within(1e9)
    assert found.to_dict()["engines"]["broken"]["max_abs"] is None


def test_no_frame_is_no_parity() -> None:
    with pytest.raises(DatasetError, match="at least one frame"):
        parity(lambda x: x, {}, [])
