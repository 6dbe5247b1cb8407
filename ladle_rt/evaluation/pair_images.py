"""Pairs at comparison size, and the truth in each look that is compared with."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ladle_rt.colour import Rgb
from ladle_rt.datasets import Pair, read_pair, read_visible
from ladle_rt.datasets.look import Look, to_look
from ladle_rt.errors import InputError
from ladle_rt.evaluation.eval_model import SIZE, comparison_size
from ladle_rt.frames import ThermalPixels
from ladle_rt.similarity import Image

logger = logging.getLogger("ladle_rt")

MEAN_COLOUR_PAIRS = 1000
"""At most so many pairs, evenly spaced, make the mean-colour baseline; KAIST has 50,000."""

Colours = dict[Look, npt.NDArray[np.float32]]
"""Mean RGB [3] by look."""


@dataclass(frozen=True, slots=True)
class PairImages:
    """One pair at comparison size."""

    thermal: ThermalPixels
    """HxW uint8 or uint16 counts."""
    truths: dict[Look, Image]
    """HxWx3 float32 RGB in [0,1]: ``none`` is the raw truth and always there."""


def looks(look: Look) -> tuple[Look, ...]:
    """The raw truth and, where it is another, the look that is compared with."""
    return ("none",) if look == "none" else ("none", look)


def read_pair_images(pair: Pair, size: tuple[int, int] = SIZE, look: Look = "none") -> PairImages:
    """Read one pair; the truth is graded as a whole frame, before it is made smaller.

    Args:
        pair: what to read.
        size: height and width.
        look: what the truth is graded to, beside the raw one.

    Raises:
        InputError: an image that is missing or does not decode.
        DatasetError: images of two aspect ratios, or a thermal image of one value.
    """
    thermal, visible = read_pair(pair)
    truths = {kind: to_unit(comparison_size(to_look(visible, kind), size)) for kind in looks(look)}
    return PairImages(comparison_size(thermal, size), truths)


def mean_colours(pairs: Sequence[Pair], look: Look = "none") -> tuple[Colours, int]:
    """Mean colour of the truths that can be read, of at most `MEAN_COLOUR_PAIRS`, in each look.

    Returns:
        The colours, black where nothing can be read, and of how many truths they are. Truths are
        graded at 192x256, which changes their mean by less than it matters.
    """
    found: dict[Look, list[npt.NDArray[np.float32]]] = {kind: [] for kind in looks(look)}
    for pair in pairs[:: math.ceil(len(pairs) / MEAN_COLOUR_PAIRS) or 1]:
        try:
            visible = read_visible(pair.visible)
        except InputError as error:
            logger.warning("%s; left out of the mean colour", error)
            continue
        small = comparison_size(visible, SIZE)
        for kind, colours in found.items():
            colours.append(to_unit(to_look(small, kind)).mean(axis=(0, 1)))
    count = len(found["none"])
    black = np.zeros(3, np.float32)
    means = {kind: np.mean(each, axis=0) if each else black for kind, each in found.items()}
    return means, count


def graded(picture: Image, look: Look) -> Image:
    """A painted picture brought to a look by itself; HxWx3 float32 RGB in [0,1]."""
    return to_unit(to_look((picture * 255 + np.float32(0.5)).astype(np.uint8), look))


def grey_copy(unit: npt.NDArray[np.float32]) -> Image:
    """A normalised thermal image as a picture: HxW in [0,1] to HxWx3."""
    return np.repeat(unit[..., None], 3, axis=2)


def to_unit(picture: Rgb) -> Image:
    """HxWx3 uint8 to float32 in [0,1]."""
    return np.asarray(picture, np.float32) / np.float32(255)
