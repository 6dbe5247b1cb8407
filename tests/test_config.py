"""Settings are checked when they are made."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import pytest

from ladle_rt.config import Isotherm, TranslateOptions
from ladle_rt.device import usable_cores
from ladle_rt.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backend": "cuda"}, "backend must be one of"),
        ({"detail": "sharp"}, "detail must be one of"),
        ({"layout": "stacked"}, "layout must be one of"),
        ({"threads": 0}, "threads must be >= 1, received 0"),
        ({"size": (16, 256)}, "size must be at least 32x32, received 256x16"),
        ({"quality": "better"}, "quality must be one of"),
        ({"quality": "best", "size": (64, 64)}, "quality and size both"),
        ({"smoothing_s": -1.0}, "smoothing_s must be >= 0"),
        ({"agc": "magic"}, "agc must be one of"),
        ({"agc": "clahe", "fixed_range": (1, 2)}, "leave the fixed range out"),
        ({"palette": "mauve"}, "palette must be one of"),
        ({"steady": 1.5}, "steady must be within 0-1"),
        ({"start_s": -1.0}, "start must be >= 0"),
        ({"start_s": float("nan")}, "start must be >= 0"),
        ({"duration_s": 0.0}, "duration must be > 0"),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TranslateOptions(**values)


def test_limits_are_inside() -> None:
    options = TranslateOptions(threads=1, size=(32, 32), smoothing_s=0)
    assert (options.threads, options.size, options.smoothing_s) == (1, (32, 32), 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.threads = 2  # type: ignore[misc]


def test_cores_without_an_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5}, raising=False)
    assert usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    for counted, expected in ((7, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda counted=counted: counted)
        assert usable_cores() == expected


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("98%", 98, "percentile"),
        ("30000", 30_000, "counts"),
        ("37C", 37, "celsius"),
        ("-5.5 \N{DEGREE SIGN}C", -5.5, "celsius"),
    ],
)
def test_isotherms_are_written_as_people_do(text: str, value: float, unit: str) -> None:
    found = Isotherm.parse(text)
    assert (found.value, found.unit) == (value, unit)


@pytest.mark.parametrize("text", ["hot", "", "%", "98K", "nan", "infC", "100%", "-1%"])
def test_other_isotherms_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="isotherm"):
        Isotherm.parse(text)
