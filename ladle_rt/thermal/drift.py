"""A warning when the thermal picture is unlike anything that the shipped models were trained on.

Measured on the normalised frame, so gain and offset of the camera do not matter, only the shape
of its histogram: empty, split in two, or crowded at one end. It cannot see everything: an
inverted (black-hot) or a visible-light picture has much the same histogram as a thermal one.
"""

from __future__ import annotations

import logging
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import ThermalImage
from ladle_rt.thermal.normalization import ThermalNormalization, apply_levels

logger = logging.getLogger("ladle_rt")

# Mean histogram, 32 bins, of the 244 normalised training frames at 256x192 (146 of RoadScene's
# training blocks, 66 of MSRS, 32 of M3FD).
_REFERENCE = (
    0.0383, 0.0229, 0.0256, 0.0255, 0.0262, 0.0276, 0.0315, 0.0382,
    0.0465, 0.0490, 0.0502, 0.0552, 0.0560, 0.0553, 0.0509, 0.0465,
    0.0402, 0.0348, 0.0321, 0.0287, 0.0262, 0.0243, 0.0230, 0.0214,
    0.0199, 0.0182, 0.0166, 0.0147, 0.0135, 0.0123, 0.0115, 0.0174,
)  # fmt: skip
USUAL = 0.187
"""99.9 % of those frames are nearer to their mean than this; the median is at 0.058."""
SIDE = (256, 192)
LOOK_EVERY_S = 1.0
LOOKS = 5
"""So many looks in a row must be unusual, or usual again."""


def distance(unit: npt.NDArray[np.float32]) -> float:
    """Wasserstein-1 distance of a normalised frame's histogram to the training frames' mean.

    Args:
        unit: values in [0, 1], any shape.

    Returns:
        0 for the same, at most 1.
    """
    reference = np.cumsum(_REFERENCE)
    histogram, _ = np.histogram(unit, bins=len(_REFERENCE), range=(0, 1))
    return float(np.abs(np.cumsum(histogram) / unit.size - reference / reference[-1]).mean())


class DriftWatch:
    """Looks once a second; warns once when it goes, and again only after it came back."""

    def __init__(self, spec: ThermalNormalization) -> None:
        self._spec = spec
        self._looked_s: float | None = None
        self._run = 0
        self.drifted = False
        """Whether the picture is unusual now."""

    def update(self, thermal: ThermalImage, now_s: float) -> None:
        """Look at what a network was shown, when it is time to; in frame order.

        Args:
            thermal: the thermal image.
            now_s: its presentation time, seconds.
        """
        if self._looked_s is not None and 0 <= now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        small: Any = cv2.resize(thermal.pixels, SIDE, interpolation=cv2.INTER_AREA)
        found = distance(apply_levels(small, thermal.levels, self._spec))
        self._run = self._run + 1 if (found > USUAL) != self.drifted else 0
        if self._run < LOOKS:
            return
        self.drifted, self._run = not self.drifted, 0
        if self.drifted:
            logger.warning(
                "the thermal picture is unlike the training data (distance %.2f, usual up to "
                "%.2f): colours may be wrong; try --agc plateau, or train on this camera",
                found,
                USUAL,
            )
