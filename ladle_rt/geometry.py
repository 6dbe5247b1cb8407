"""Where a frame of any size lands in the network's input, and how it gets back.

The frame keeps its aspect ratio: it is scaled to fit the network box (turned for portrait
frames), then padded by reflection at the right and bottom to the size multiple. The box is a choice
between speed and fine detail, in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ladle_rt.config import Quality
from ladle_rt.frames import ThermalPixels

STRIP_PIXELS = 1 << 20
LARGEST_BOX: dict[Quality, tuple[int, int]] = {"balanced": (288, 384), "best": (512, 640)}
"""Height and width that a network is given at most, unless it was trained with more."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Sizes of one frame on its way through the network, pixels."""

    height: int
    """Of the scaled frame."""
    width: int
    pad_height: int
    """Rows added at the bottom to reach the size multiple."""
    pad_width: int
    """Columns added at the right."""

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return self.height + self.pad_height, self.width + self.pad_width


def network_box(
    frame: tuple[int, int], train_size: tuple[int, int], multiple: int, quality: Quality
) -> tuple[int, int]:
    """The box that a quality means for frames of a size.

    ``fast`` is what the network was trained with. The others are the smallest box that covers
    the frame, since more pixels than it has show nothing more, but at most `LARGEST_BOX` and at
    least what the network was trained with.

    Args:
        frame: height and width of the frames, pixels.
        train_size: height and width that the network was trained with, for landscape frames.
        multiple: the network's sides are divisible by it.
        quality: the word.

    Returns:
        Height and width for landscape frames, divisible by ``multiple``; `fit_letterbox` turns it.
    """
    if quality == "fast":
        return train_size
    height, width = (
        max(least, min(_cover(side, multiple), _cover(most, multiple)))
        for side, most, least in zip(sorted(frame), LARGEST_BOX[quality], train_size, strict=True)
    )
    return height, width


def size_range(low: Sequence[int], high: Sequence[int]) -> str:
    """Heights and widths from ``low`` to ``high`` in words: WIDTHxHEIGHT, as people write it."""
    least, most = (f"{width}x{height}" for height, width in (low, high))
    return least if least == most else f"{least} to {most}"


def _cover(side: int, multiple: int) -> int:
    return side + -side % multiple


def fit_letterbox(height: int, width: int, box: tuple[int, int], multiple: int) -> Letterbox:
    """Fit a frame into a box.

    Args:
        height: of the frame, at least 1.
        width: of the frame, at least 1.
        box: height and width of the network box for landscape frames.
        multiple: both padded sides are divisible by it.
    """
    tall, wide = sorted(box, reverse=height > width)
    scale = min(tall / height, wide / width)
    fit_height = min(tall, max(1, round(height * scale)))
    fit_width = min(wide, max(1, round(width * scale)))
    return Letterbox(fit_height, fit_width, -fit_height % multiple, -fit_width % multiple)


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture, some `STRIP_PIXELS` at a time: what is done strip by strip makes no
    temporary arrays as large as the picture."""
    rows = max(1, STRIP_PIXELS // max(1, width))
    for first in range(0, height, rows):
        yield slice(first, min(first + rows, height))


def samples(image: Any, per_side: int) -> Any:
    """A view of an image's evenly spaced rows and columns, from ``per_side`` to twice as many.

    An image that has fewer is looked at whole.
    """
    rows, columns = (max(1, side // per_side) for side in image.shape[:2])
    return image[::rows, ::columns]


def shrink(pixels: ThermalPixels, fit: Letterbox) -> ThermalPixels:
    """Scale a frame to its fit, in its own dtype: area average down, bilinear up."""
    height, width = pixels.shape
    down = height >= fit.height and width >= fit.width
    interpolation = cv2.INTER_AREA if down else cv2.INTER_LINEAR
    scaled: Any = cv2.resize(pixels, (fit.width, fit.height), interpolation=interpolation)
    return scaled  # type: ignore[no-any-return]


def pad(image: Any, fit: Letterbox) -> Any:
    """Extend HxW at the bottom and right by reflection, by repetition where it is too small."""
    if not fit.pad_height and not fit.pad_width:
        return image
    reflects = fit.pad_height < fit.height and fit.pad_width < fit.width
    border = cv2.BORDER_REFLECT_101 if reflects else cv2.BORDER_REPLICATE
    return cv2.copyMakeBorder(image, 0, fit.pad_height, 0, fit.pad_width, border)


def crop(output: np.ndarray[Any, Any], fit: Letterbox) -> np.ndarray[Any, Any]:
    """Undo `pad` on [..., H, W]; a view."""
    return output[..., : fit.height, : fit.width]
