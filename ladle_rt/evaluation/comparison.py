"""What is compared with what: the same outputs against each truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ladle_rt.similarity import Image

RAW, PAINTED, GRADED = "raw", "as_painted", "output_graded"
"""Views of an evaluation: outputs against the raw truth; against the truth in the look; and
outputs brought to the look as well, which nobody will see and which flatters fog."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pair in one view."""

    outputs: Mapping[str, Image]
    """Every row's picture, HxWx3 float32 RGB in [0,1]."""
    truth: Image
    """Of the same size."""


@dataclass(frozen=True, slots=True)
class PooledFeatures:
    """Pooled features of one pair in one view, for kernel distances."""

    outputs: Mapping[str, npt.NDArray[np.float32]]
    """[D] of each row's picture."""
    truth: npt.NDArray[np.float32]
    """[D] of the truth."""


@dataclass(frozen=True, slots=True)
class PerceptualScores:
    """What a network of features says of one pair in one view."""

    perceptual: Mapping[str, float]
    """Perceptual distance to the truth by row."""
    pooled: PooledFeatures


PerceptualMetric = Callable[[Mapping[str, Comparison]], dict[str, PerceptualScores]]
"""Scores one pair in all its views, see `ladle_rt.evaluation.perceptual`."""
