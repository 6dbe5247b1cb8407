"""A model as evaluation sees it: a name, a function, and how its input is normalised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets.look import Look
from ladle_rt.errors import ModelError
from ladle_rt.thermal.normalization import ThermalNormalization

SIZE = (192, 256)
"""Height and width of the figures of record; an evaluation may choose another."""


def comparison_size(pixels: npt.NDArray[Any], size: tuple[int, int] = SIZE) -> Any:
    """Thermal counts or a picture at the size of a comparison, element type and channels kept."""
    if pixels.shape[:2] == size:
        return pixels
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)


Predict = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""float32 [1,1,H,W] in [0,1] to [1,3,H,W]; the result may be reused by the next call."""


@dataclass(frozen=True, slots=True)
class EvalModel:
    """One model under evaluation."""

    name: str
    """Row of the table."""
    predict: Predict
    thermal: ThermalNormalization
    """The normalisation it was trained with."""
    look: Look = "none"
    """The look its targets were graded to, and so the one it paints."""
    files: tuple[Path, ...] = ()
    """What it was loaded from, weights or graph and JSON."""

    def picture(self, thermal: npt.NDArray[np.float32], place: str) -> npt.NDArray[np.float32]:
        """Run the model on one frame.

        Args:
            thermal: HxW float32 in [0,1], normalised as `thermal` says.
            place: what to call the frame in messages.

        Returns:
            HxWx3 float32 RGB, clipped to [0,1], owned by the caller.

        Raises:
            ModelError: an output that is not finite.
        """
        raw = self.predict(np.ascontiguousarray(thermal)[None, None])[0].transpose(1, 2, 0)
        if not np.isfinite(raw).all():
            raise ModelError(f"{self.name}: the output for {place} is not finite")
        clipped: npt.NDArray[np.float32] = np.clip(raw, 0, 1)
        return np.ascontiguousarray(clipped)
