"""Times of frames against what `LevelTracker` and `MotionGate` make of them."""

from __future__ import annotations

import math

import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.translate.cuda.frame_clock import LAYOUT, Clock, FrameClock


def test_levels_follow_by_the_time_that_passed() -> None:
    clock = Clock(2.0)
    follows = [clock.tick(time_s).follow for time_s in (5.0, 5.5, 5.5, 5.0)]
    # The first frame, then 0.5 s, none, and time that goes backwards.
    assert follows == pytest.approx([1.0, 1 - math.exp(-0.25), 0.0, 1.0])
    assert Clock(0.0).tick(1.0).follow == 1.0


def test_pictures_begin_anew_after_a_gap_or_backwards() -> None:
    clock = Clock(1.0)
    times = (0.0, 0.4, 0.9, 1.5, 1.6, 1.5)
    assert [clock.tick(t).begins for t in times] == [True, False, False, True, False, True]


def test_levels_of_another_translator_go_on_and_its_pictures_do_not() -> None:
    clock = Clock(1.0)
    clock.tick(0.0)
    clock.resume_levels(7.0)
    assert clock.tick(7.1) == (pytest.approx(1 - math.exp(-0.1)), True)
    clock.forget_shown()
    assert clock.tick(7.2).begins


def test_as_the_kernels_read_it() -> None:
    assert LAYOUT.unpack(FrameClock(0.25, True).pack()) == (0.25, 1)


def test_a_negative_time_constant() -> None:
    with pytest.raises(ConfigError, match="smoothing_s must be >= 0, received -1"):
        Clock(-1.0)
