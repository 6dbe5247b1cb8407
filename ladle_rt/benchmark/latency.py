"""Times of a translator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.translate.base import Translator


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """50th, 95th and 99th, four significant digits."""
    found = np.percentile(np.asarray(values), (50, 95, 99))
    names = ("p50", "p95", "p99")
    return {name: float(f"{value:.4g}") for name, value in zip(names, found, strict=True)}


def translate_all(translator: Translator, frames: Sequence[Frame]) -> list[TranslatedFrame]:
    """Every frame through a translator, as many in flight as it takes."""
    results = []
    flying = 0
    for frame in frames:
        while flying >= translator.depth:
            results.append(translator.collect(60))
            flying -= 1
        translator.submit(frame)
        flying += 1
    return results + [translator.collect(60) for _ in range(flying)]
