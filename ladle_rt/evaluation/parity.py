"""How far engines are from the checkpoint they were made of, on the same frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets import Pair, read_thermal
from ladle_rt.errors import DatasetError
from ladle_rt.evaluation.contestant import SIZE, Predict
from ladle_rt.thermal.normalization import ThermalNormalization, normalize

TOLERANCE = 2 / 255
"""Largest absolute difference that fp32 engines may show, RGB in [0,1]: two 8-bit counts."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One engine against the reference; RGB in [0,1], over all values of all frames."""

    max_abs: float
    """NaN where either output is."""
    mean_abs: float

    def within(self, tolerance: float) -> bool:
        """Whether the largest difference is a number and small enough."""
        return bool(self.max_abs <= tolerance)

    def to_dict(self) -> dict[str, float | None]:
        """JSON-ready; ``None`` where it is no number."""
        values = {"max_abs": self.max_abs, "mean_abs": self.mean_abs}
        return {k: float(f"{v:.4g}") if np.isfinite(v) else None for k, v in values.items()}


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison found."""

    frames: int
    engines: dict[str, Difference]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        engines = {name: found.to_dict() for name, found in self.engines.items()}
        return {"frames": self.frames, "engines": engines}


def parity(
    reference: Predict, engines: Mapping[str, Predict], frames: Iterable[npt.NDArray[np.float32]]
) -> Parity:
    """Compare engines with a reference.

    Args:
        reference: the checkpoint.
        engines: the others, by name.
        frames: HxW float32 in [0,1], normalised.

    Raises:
        DatasetError: no frame.
    """
    worst = dict.fromkeys(engines, 0.0)
    total = dict.fromkeys(engines, 0.0)
    count = values = 0
    for frame in frames:
        batch = np.ascontiguousarray(frame)[None, None]
        expected = np.array(reference(batch))
        count, values = count + 1, values + expected.size
        for name, predict in engines.items():
            error = np.abs(predict(batch) - expected)
            worst[name] = float(np.maximum(worst[name], error.max()))  # keeps NaN
            total[name] += float(error.sum(dtype=np.float64))
    if not count:
        raise DatasetError("parity needs at least one frame, received none")
    return Parity(count, {name: Difference(worst[name], total[name] / values) for name in engines})


def thermal_frames(
    pairs: Sequence[Pair], spec: ThermalNormalization
) -> Iterator[npt.NDArray[np.float32]]:
    """Thermal images at comparison size, normalised; HxW float32 in [0,1].

    Raises:
        InputError: an image that is missing or does not decode.
    """
    for pair in pairs:
        small: Any = cv2.resize(
            read_thermal(pair.thermal), SIZE[::-1], interpolation=cv2.INTER_AREA
        )
        yield normalize(small, spec)
