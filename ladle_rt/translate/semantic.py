"""What a model took each part of the scene for, as colours.

A model trained with labels may have a second output: scores of seven groups of things, of which
the highest is shown in the group's colour, half over the thermal picture. The colours are those
of Cityscapes (Cordts et al. 2016) where it has the group; its grey of buildings would not show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

PALETTE = {
    "ground": (128, 64, 128),
    "building": (190, 120, 60),
    "vegetation": (107, 142, 35),
    "sky": (70, 130, 180),
    "pole or sign": (220, 220, 0),
    "person": (220, 20, 60),
    "vehicle": (0, 0, 142),
}
"""sRGB of each group, 0 to 255, in the order of the output's channels."""

_COLOURS = np.array(list(PALETTE.values()), np.float32) / 255


def class_colours(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Colours of the likeliest groups.

    Args:
        scores: [7,H,W] float32, of any range.

    Returns:
        [3,H,W] float32, RGB in [0,1], contiguous.
    """
    chosen: Any = _COLOURS[np.argmax(scores, axis=0)]
    return np.ascontiguousarray(chosen.transpose(2, 0, 1))
