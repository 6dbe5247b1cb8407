"""Label maps beside the pairs: ``labels/STEM.png`` for the visible picture of that stem.

One grey value a class: 0 ground, 1 building, 2 vegetation, 3 sky, 4 pole or sign, 5 person,
6 vehicle, 255 unsure. A map may be smaller than its picture, of the same aspect ratio.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets.pairs import Pair
from ladle_rt.datasets.read_image import decode
from ladle_rt.datasets.read_pair import ASPECT_TOLERANCE
from ladle_rt.errors import DatasetError

CLASSES = 7
UNSURE = 255


def label_path(pair: Pair) -> Path:
    """Where the label map of a pair lies, if it has one: in the folder beside its pictures'."""
    return pair.visible.parent.parent / "labels" / f"{pair.visible.stem}.png"


def read_labels(pair: Pair, size: tuple[int, int]) -> npt.NDArray[np.uint8] | None:
    """A pair's label map at ``size`` (height, width), uint8; None where it has none.

    Raises:
        DatasetError: another aspect ratio, colours, or values that are no class.
        InputError: a file that does not decode.
    """
    path = label_path(pair)
    if not path.is_file():
        return None
    labels = decode(path, cv2.IMREAD_UNCHANGED)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise DatasetError(
            f"{path}: expected an 8-bit grey label map, received {labels.dtype} of shape "
            f"{labels.shape}"
        )
    height, width = size
    if abs(labels.shape[1] * height / (labels.shape[0] * width) - 1) > ASPECT_TOLERANCE:
        raise DatasetError(
            f"{path}: expected a label map of the picture's aspect ratio ({width}x{height}), "
            f"received {labels.shape[1]}x{labels.shape[0]}"
        )
    unknown = np.setdiff1d(labels, [*range(CLASSES), UNSURE])
    if len(unknown):
        raise DatasetError(
            f"{path}: expected classes 0 to {CLASSES - 1} and {UNSURE} for unsure, received "
            f"{unknown[0]}"
        )
    resized = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
    return cast("npt.NDArray[np.uint8]", resized)
