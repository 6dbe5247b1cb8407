"""Settings are checked when they are made."""

from __future__ import annotations

from typing import Any

import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.device import is_x86, usable_cores
from ladle_rt.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backend": "cuda"}, "backend must be one of"),
        ({"detail": "sharp"}, "detail must be one of"),
        ({"layout": "stacked"}, "layout must be one of"),
        ({"threads": 0}, "threads must be >= 1, received 0"),
        ({"size": (16, 256)}, "size must be at least 32x32, received 16x256"),
        ({"smoothing_s": -1.0}, "smoothing_s must be >= 0"),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TranslateOptions(**values)


def test_machine_facts() -> None:
    assert usable_cores() >= 1
    assert isinstance(is_x86(), bool)
