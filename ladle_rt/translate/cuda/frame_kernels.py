"""Plans one frame size's kernel launches; plain Python, needs no CUDA library.

The kernels themselves are in ``kernels.cu``. Buffers, all in device memory and aligned to
`ALIGNMENT`:

    input    the frame, HxW uint8 or uint16, C-contiguous
    state    level tracker, one per translator: zeroed once, then only handed on
    thermal  network input [1,1,h,w], float32 or float16 in [0,1], padded
    rgb      network output [1,3,h,w], float32 or float16 in [0,1], padded
    scratch  one per frame in flight: `FrameKernels.scratch_start` copied to its beginning
             once; what `before` leaves in it `after` reads
    time     the frame's time in seconds, one float64
    output   `Picture.data`
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ladle_rt.config import Layout
from ladle_rt.cuda.launch import Launch, Size, float64, int32, pointer
from ladle_rt.errors import ConfigError
from ladle_rt.frames import PixelFormat
from ladle_rt.geometry import Fit
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda import label

NetworkDtype = Literal["float32", "float16"]

ALIGNMENT = 256
"""Of every buffer and of the parts of scratch, bytes; what ``cuMemAlloc`` gives."""
MAX_SIDE = 16384
"""Pixels; positions in the kernels are products of two sides in 32 bits."""

_BINS = 256
TRACKER_HEAD = struct.Struct("=4d2i")
"""The beginning of ``TrackerState``: low, mid and high level, time in seconds, started, unused."""
_TRACKER_BYTES = TRACKER_HEAD.size + 4 * _BINS
"""``TrackerState`` up to its histogram of 16-bit values."""
_FINE_BYTES = 4 * _BINS * _BINS
_LEVELS_BYTES = 16 + 4 * _BINS
"""``FrameLevels``."""
_TILE = (16, 32)
"""``fit_detail``'s tile, height and width."""
_BLOCK: Size = (32, 8, 1)
_QUAD = 2
"""A thread of ``picture`` makes 2x2 pixels."""

KERNELS = (
    *(f"shrink_{pixel}" for pixel in ("u8", "u16")),
    *(f"follow_levels_{pixel}" for pixel in ("u8", "u16")),
    *(f"normalize_{pixel}_{network}" for pixel in ("u8", "u16") for network in ("f32", "f16")),
    *(f"{name}_{network}" for name in ("to_planes", "fit_detail") for network in ("f32", "f16")),
    *(f"picture_{form}_{pixel}" for form in ("yuv420p", "rgb24") for pixel in ("u8", "u16")),
)
"""Every kernel in the compiled module."""


@dataclass(frozen=True, slots=True)
class BytesMoved:
    """What each launch must read and write at least once, by kernel, bytes."""

    before: dict[str, int]
    after: dict[str, int]

    @property
    def total(self) -> int:
        """Of all launches of one frame."""
        return sum(self.before.values()) + sum(self.after.values())


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Where the parts of scratch begin, bytes; one after another, aligned."""

    parts: dict[str, int]
    size: int = field(default=0)

    @classmethod
    def of(cls, sizes: dict[str, int]) -> _Scratch:
        parts, end = {}, 0
        for name, size in sizes.items():
            parts[name] = end
            end += -(-size // ALIGNMENT) * ALIGNMENT
        return cls(parts, end)


class FrameKernels:
    """The launches for frames of one size and dtype, before and after the network.

    Launches of `before` share the tracker: they run in the order of frames, on one stream or
    joined by events. Everything else of a frame is in its own buffers.

    Args:
        height: of the frame, pixels.
        width: of the frame, pixels.
        dtype: uint8 or uint16.
        fit: `ladle_rt.geometry.fit_box` of that size.
        spec: the model's normalisation.
        picture: what the sink wants.
        detail: add full-resolution detail from the thermal image.
        layout: colour alone, or thermal at the left and colour at the right.
        mark: write the label at the bottom right.
        network_dtype: element type of the network's input and output.
        smoothing_s: time constant of the thermal levels, seconds.
        fixed_range: low and high level of every frame, counts; ``None`` measures them.

    Raises:
        ConfigError: sizes, dtypes or options that the kernels cannot do.
    """

    def __init__(
        self,
        height: int,
        width: int,
        dtype: npt.DTypeLike,
        fit: Fit,
        spec: ThermalNormalization,
        picture: PictureSpec,
        detail: bool,
        layout: Layout,
        mark: bool,
        network_dtype: NetworkDtype = "float32",
        *,
        smoothing_s: float = 1.0,
        fixed_range: tuple[float, float] | None = None,
    ) -> None:
        _check(height, width, np.dtype(dtype), fit, picture, network_dtype, smoothing_s)
        self._height, self._width, self._fit, self._spec = height, width, fit, spec
        self._pixel = "u8" if np.dtype(dtype) == np.uint8 else "u16"
        self.network_dtype = np.dtype(network_dtype)
        """Element type of the network's input and output."""
        self._network = "f32" if network_dtype == "float32" else "f16"
        self._format: PixelFormat = picture.pixel_format
        self._smoothing_s = smoothing_s
        # An empty range tells the kernel to measure.
        self._fixed_range = fixed_range or (0.0, 0.0)
        self._side_by_side = layout == "side-by-side"
        self._part = (max(height & ~1, 2), max(width & ~1, 2)) if picture.even else (height, width)
        """Height and width of the colour part of the picture."""
        # As colorize.render: an image that grows along no side gets no detail.
        self._detail = detail and (self._part[0] > fit.height or self._part[1] > fit.width)
        self._label = label.draw(self.picture_size, self._format) if mark else None
        small = fit.height * fit.width
        self._scratch = _Scratch.of(
            {
                "label": self._label.values.size if self._label else 0,
                "levels": _LEVELS_BYTES,
                "small": small * self._itemsize,
                "thermal": small * 4 if self._detail else 0,
                "luma": small * 4,
                "slope": small * 4 if self._detail else 0,
                "cb": small * 4,
                "cr": small * 4,
            }
        )

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of the picture, both parts of ``side-by-side`` counted."""
        height, width = self._part
        return height, 2 * width if self._side_by_side else width

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of `Picture.data`, uint8."""
        height, width = self.picture_size
        return (height * 3 // 2, width) if self._format == "yuv420p" else (height, width, 3)

    @property
    def network_shape(self) -> tuple[int, int]:
        """Height and width of the network's input and output."""
        return self._fit.padded

    @property
    def input_bytes(self) -> int:
        """Of one frame."""
        return self._height * self._width * self._itemsize

    @property
    def thermal_bytes(self) -> int:
        """Of the network's input; its output takes three times as much."""
        return math.prod(self.network_shape) * self.network_dtype.itemsize

    @property
    def output_bytes(self) -> int:
        """Of one picture."""
        return math.prod(self.output_shape)

    @property
    def scratch_bytes(self) -> int:
        """Of one frame in flight."""
        return self._scratch.size

    @property
    def state_bytes(self) -> int:
        """Of the tracker, zeroed before the first frame."""
        return _TRACKER_BYTES + (_FINE_BYTES if self._pixel == "u16" else 0)

    @property
    def scratch_start(self) -> npt.NDArray[np.uint8]:
        """What every scratch buffer begins with, to be copied there once: the label.

        Flat uint8, empty without a label. No kernel writes there.
        """
        if self._label is None:
            return np.empty(0, np.uint8)
        return self._label.values.reshape(-1)

    @property
    def _itemsize(self) -> int:
        return 1 if self._pixel == "u8" else 2

    def before(
        self, input_ptr: int, state_ptr: int, thermal_ptr: int, scratch_ptr: int, time_ptr: int
    ) -> list[Launch]:
        """Frame to network input; see the module's docstring for the buffers."""
        fit, spec = self._fit, self._spec
        small = (fit.height, fit.width)
        ranks = [
            # As measure_levels; the smallest pixel has rank 1.
            max(math.ceil(percentile / 100 * (fit.height * fit.width)), 1)
            for percentile in (spec.low_percentile, 50.0, spec.high_percentile)
        ]
        reflects = fit.pad_height < fit.height and fit.pad_width < fit.width
        at = self._addresses(scratch_ptr)
        return [
            Launch(
                f"shrink_{self._pixel}",
                _grid(small, (_BLOCK[1], _BLOCK[0])),
                _BLOCK,
                (
                    *map(pointer, (input_ptr, at["small"], state_ptr)),
                    *map(int32, (self._height, self._width, *small)),
                    # OpenCV's own way to the source pixels per target pixel.
                    float64(1 / (fit.height / self._height)),
                    float64(1 / (fit.width / self._width)),
                ),
            ),
            Launch(
                f"follow_levels_{self._pixel}",
                (1, 1, 1),
                (_BINS, 1, 1),
                (
                    *map(pointer, (state_ptr, at["levels"], time_ptr)),
                    *map(int32, ranks),
                    *map(float64, (spec.mid_target, spec.gamma_limit, spec.min_span)),
                    float64(self._smoothing_s),
                    *map(float64, self._fixed_range),
                ),
            ),
            Launch(
                f"normalize_{self._pixel}_{self._network}",
                _grid(self.network_shape, (_BLOCK[1], _BLOCK[0])),
                _BLOCK,
                (
                    *map(pointer, (at["small"], at["levels"], state_ptr, thermal_ptr)),
                    pointer(at["thermal"] if self._detail else 0),
                    *map(int32, (*small, *self.network_shape, reflects)),
                ),
            ),
        ]

    def after(
        self, input_ptr: int, rgb_ptr: int, scratch_ptr: int, output_ptr: int
    ) -> list[Launch]:
        """Network output to picture; see the module's docstring for the buffers."""
        small = (self._fit.height, self._fit.width)
        at = self._addresses(scratch_ptr)
        sizes = tuple(map(int32, (*small, *self.network_shape)))
        if self._detail:
            names = ("thermal", "luma", "slope", "cb", "cr")
            planes = Launch(
                f"fit_detail_{self._network}",
                _grid(small, _TILE),
                _BLOCK,
                (pointer(rgb_ptr), *(pointer(at[name]) for name in names), *sizes),
            )
        else:
            planes = Launch(
                f"to_planes_{self._network}",
                _grid(small, (_BLOCK[1], _BLOCK[0])),
                _BLOCK,
                (pointer(rgb_ptr), *(pointer(at[name]) for name in ("luma", "cb", "cr")), *sizes),
            )
        height, width = self._part
        chroma = (height // 2, width // 2) if self._format == "yuv420p" else self._part
        mark = self._label
        picture = Launch(
            f"picture_{self._format}_{self._pixel}",
            _grid(self._part, (_QUAD * _BLOCK[1], _QUAD * _BLOCK[0])),
            _BLOCK,
            (
                *map(pointer, (input_ptr, at["levels"], at["luma"])),
                pointer(at["slope"] if self._detail else 0),
                *map(pointer, (at["cb"], at["cr"])),
                pointer(at["label"] if mark else 0),
                pointer(output_ptr),
                *map(int32, (self._height, self._width, height, width, *small)),
                int32(_shrinks(self._part, small)),
                int32(_shrinks(chroma, small)),
                int32(self._side_by_side),
                int32(mark.top if mark else 0),
                int32(mark.left if mark else 0),
            ),
        )
        return [planes, picture]

    def bytes_moved(self) -> BytesMoved:
        """The least traffic of each launch: every input read once, every output written once.

        The bound that a kernel's time is held against; neighbours that several threads read
        are expected from the caches.
        """
        small = self._fit.height * self._fit.width
        thermal = self.thermal_bytes
        histogram = 4 * _BINS
        plane = 4 * small
        shrunk = small * self._itemsize
        # The unpadded part of three network planes.
        rgb = 3 * small * self.network_dtype.itemsize
        sees_frame = self._detail or self._side_by_side
        before = {
            f"shrink_{self._pixel}": self.input_bytes + shrunk + histogram,
            f"follow_levels_{self._pixel}": 2 * histogram
            + _LEVELS_BYTES
            + (3 * histogram if self._pixel == "u16" else 0),
            f"normalize_{self._pixel}_{self._network}": shrunk
            + thermal
            + (plane if self._detail else 0),
        }
        planes = "fit_detail" if self._detail else "to_planes"
        after = {
            f"{planes}_{self._network}": rgb + (5 if self._detail else 3) * plane,
            f"picture_{self._format}_{self._pixel}": (4 if self._detail else 3) * plane
            + (self.input_bytes if sees_frame else 0)
            + self.output_bytes,
        }
        return BytesMoved(before, after)

    def _addresses(self, scratch_ptr: int) -> dict[str, int]:
        return {name: scratch_ptr + start for name, start in self._scratch.parts.items()}


def _check(
    height: int,
    width: int,
    dtype: np.dtype[np.generic],
    fit: Fit,
    picture: PictureSpec,
    network_dtype: str,
    smoothing_s: float,
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
    if not smoothing_s >= 0:
        raise ConfigError(f"smoothing_s must be >= 0, received {smoothing_s}")


def _grid(image: tuple[int, int], covered: tuple[int, int]) -> Size:
    """Blocks for an image when each covers that many rows and columns."""
    return (-(-image[1] // covered[1]), -(-image[0] // covered[0]), 1)


def _shrinks(target: tuple[int, int], source: tuple[int, int]) -> bool:
    """Whether `colorize` resizes by area average: nothing grows."""
    return target[0] <= source[0] and target[1] <= source[1]
