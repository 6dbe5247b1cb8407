"""Sizes and element types of everything between a frame and its picture on the GPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ladle_rt.config import Layout
from ladle_rt.errors import ConfigError
from ladle_rt.frames import PixelFormat
from ladle_rt.geometry import Letterbox
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.label import Label, draw
from ladle_rt.translate.steady import GATE_SHRINK

NetworkDtype = Literal["float32", "float16"]
Sides = tuple[int, int]
"""Height and width, pixels."""

MAX_SIDE = 16384
"""Pixels; positions in the kernels are products of two sides in 32 bits."""


@dataclass(frozen=True, slots=True)
class FrameShapes:
    """What follows from a frame's size and the options; see `FrameKernels` for those."""

    frame: Sides
    pixel: Literal["u8", "u16"]
    """Element type of the frame."""
    small: Sides
    """The frame scaled to its fit."""
    network: Sides
    """The network's input and output, padded."""
    network_dtype: np.dtype[np.generic]
    part: Sides
    """Colour part of the picture."""
    picture_format: PixelFormat
    side_by_side: bool
    detail: bool
    """Whether any is added: an image that grows along no side gets none."""
    label: Label | None
    gate: Sides
    """The image that flicker suppression sees motion in."""
    steady: float
    """Its strength; 0: without."""

    @classmethod
    def of(
        cls,
        height: int,
        width: int,
        dtype: npt.DTypeLike,
        fit: Letterbox,
        picture: PictureSpec,
        detail: bool,
        layout: Layout,
        mark: bool,
        network_dtype: NetworkDtype,
        steady: float,
    ) -> FrameShapes:
        """Check and derive; arguments and errors as of `FrameKernels`."""
        _check(height, width, np.dtype(dtype), fit, picture, network_dtype, steady)
        part = (max(height & ~1, 2), max(width & ~1, 2)) if picture.even else (height, width)
        side_by_side = layout == "side-by-side"
        whole = (part[0], 2 * part[1] if side_by_side else part[1])
        return cls(
            frame=(height, width),
            pixel="u8" if np.dtype(dtype) == np.uint8 else "u16",
            small=(fit.height, fit.width),
            network=fit.padded,
            network_dtype=np.dtype(network_dtype),
            part=part,
            picture_format=picture.pixel_format,
            side_by_side=side_by_side,
            # As colorize.render.
            detail=detail and (part[0] > fit.height or part[1] > fit.width),
            label=draw(whole, picture.pixel_format) if mark else None,
            gate=(max(1, height // GATE_SHRINK), max(1, width // GATE_SHRINK)),
            steady=steady,
        )

    @property
    def itemsize(self) -> int:
        """Of a pixel of the frame, bytes."""
        return 1 if self.pixel == "u8" else 2

    @property
    def network_name(self) -> str:
        """Element type of the network's input and output in names of kernels."""
        return "f32" if self.network_dtype == np.float32 else "f16"

    @property
    def picture_name(self) -> str:
        """Of the picture and the frame's element type in names of kernels."""
        return f"{self.picture_format}_{self.pixel}"

    @property
    def through_planes(self) -> bool:
        """Whether the picture is made from planes at network size, not from the network's output.

        A block of ``picture`` sees a bounded part of that only where nothing shrinks.
        """
        grows = all(side >= least for side, least in zip(self.part, self.small, strict=True))
        return self.detail or not grows

    @property
    def picture(self) -> Sides:
        """The picture, both parts of ``side-by-side`` counted."""
        height, width = self.part
        return height, 2 * width if self.side_by_side else width

    @property
    def chroma(self) -> Sides:
        """A chroma plane of the colour part."""
        height, width = self.part
        return (height // 2, width // 2) if self.picture_format == "yuv420p" else self.part

    @property
    def output(self) -> tuple[int, ...]:
        """Shape of `Picture.data`, uint8."""
        height, width = self.picture
        yuv = self.picture_format == "yuv420p"
        return (height * 3 // 2, width) if yuv else (height, width, 3)

    @property
    def samples(self) -> int:
        """Bytes of the picture's colour part."""
        pixels = math.prod(self.part)
        return pixels * 3 // 2 if self.picture_format == "yuv420p" else pixels * 3


def _check(
    height: int,
    width: int,
    dtype: np.dtype[np.generic],
    fit: Letterbox,
    picture: PictureSpec,
    network_dtype: str,
    steady: float,
) -> None:
    network = fit.padded
    sides = (height, width, fit.height, fit.width, *network)
    if not (1 <= min(sides) and max(sides) <= MAX_SIDE and min(fit.pad_height, fit.pad_width) >= 0):
        raise ConfigError(
            f"frames on the GPU must have sides of 1 to {MAX_SIDE} pixels, received "
            f"{height}x{width} fitted to {fit.height}x{fit.width} and padded to "
            f"{network[0]}x{network[1]}; scale the video down or use another backend"
        )
    if dtype not in (np.uint8, np.uint16):
        raise ConfigError(f"frames on the GPU must be uint8 or uint16, received {dtype}")
    if network_dtype not in get_args(NetworkDtype):
        raise ConfigError(
            f"network_dtype must be one of {get_args(NetworkDtype)}, received {network_dtype!r}"
        )
    if picture.pixel_format == "yuv420p" and not picture.even:
        raise ConfigError("yuv420p needs even sides, received a picture with even=False")
    if not 0 <= steady <= 1:
        raise ConfigError(f"steady must be within 0-1, received {steady:g}")
