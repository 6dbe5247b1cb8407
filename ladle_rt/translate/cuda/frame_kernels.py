"""Plans one frame size's kernel launches; plain Python, needs no CUDA library.

The kernels themselves are in ``common.cu`` and the others beside it. A frame takes two launches
before the network and one after it; two where planes at network size are needed, for detail or
where the picture is smaller than the network; flicker suppression adds two before. Planes are
16-bit fixed point: the bytes of a half, eight to sixteen times as exact in bright or strong colour.

What the kernels do in float and the CPU in double agrees within 1e-6 of a level and of the
network's input, but where a threshold lies between the two: a cut of levels that overlap by 0.3
exactly. Pictures agree within one step of 255; through planes up to 0.6 % of the bytes, without
them 0.2 %, are that step off.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ladle_rt.config import Layout
from ladle_rt.cuda.launch import Arg, Launch, Size, float32, int32, pointer
from ladle_rt.errors import ConfigError
from ladle_rt.frames import Levels, PixelFormat
from ladle_rt.geometry import Letterbox
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda import label
from ladle_rt.translate.steady import CHROMA_KEEP, GATE_SHRINK, LUMA_KEEP

NetworkDtype = Literal["float32", "float16"]

ALIGNMENT = 256
"""Of every buffer and of the parts of scratch, bytes; what ``cuMemAlloc`` gives."""
MAX_SIDE = 16384
"""Pixels; positions in the kernels are products of two sides in 32 bits."""

_BINS = 256
TRACKER_HEAD = struct.Struct("=6f2I")
"""The beginning of ``TrackerState``: low, mid and high level, what each lacks, two counters."""
_TRACKER_BYTES = TRACKER_HEAD.size + 4 * _BINS
"""``TrackerState`` up to its histogram of 16-bit values."""
_FINE_BYTES = 4 * _BINS * _BINS
_LEVELS_BYTES = 16 + 4 * _BINS
"""``FrameLevels``."""
_GATE_BYTES = 8
"""``FrameGate``."""
_STEADY_HEAD_BYTES = 16
"""``SteadyState``."""
_TILE = (16, 32)
"""``fit_detail``'s tile, height and width."""
_BLOCK: Size = (32, 8, 1)
_QUAD = 2
"""A thread of ``picture`` makes 2x2 pixels."""

_PIXELS, _NETWORKS, _FORMS = ("u8", "u16"), ("f32", "f16"), ("yuv420p", "rgb24")
KERNELS = (
    *(f"{name}_{pixel}" for name in ("shrink", "motion", "follow_motion") for pixel in _PIXELS),
    *(f"normalize_{pixel}_{network}" for pixel in _PIXELS for network in _NETWORKS),
    *(f"{name}_{network}" for name in ("to_planes", "fit_detail") for network in _NETWORKS),
    *(
        f"{name}_{form}_{pixel}"
        for name in ("picture", "planes_picture")
        for form in _FORMS
        for pixel in _PIXELS
    ),
)
"""Every kernel in the compiled module."""


@dataclass(frozen=True, slots=True)
class Buffers:
    """Device addresses of what one frame's kernels work on, each aligned to `ALIGNMENT`."""

    input: int
    """The frame, HxW uint8 or uint16, C-contiguous."""
    clock: int
    """`frame_clock.FrameClock` of the frame."""
    state: int
    """Level tracker, one per translator: zeroed once, then only handed on."""
    steady: int
    """Flicker suppression's state, one for each size of frame: as ``state``; 0 without."""
    thermal: int
    """Network input [1,1,h,w], float32 or float16 in [0,1], padded."""
    rgb: int
    """Network output [1,3,h,w], float32 or float16 in [0,1], padded."""
    scratch: int
    """One per frame in flight: `FrameKernels.scratch_start` copied to its beginning once; what
    `before` leaves in it `after` reads."""
    output: int
    """`Picture.data`."""


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
class _Parts:
    """Where the parts of a buffer begin, bytes; one after another, aligned."""

    parts: dict[str, int]
    size: int = field(default=0)

    @classmethod
    def of(cls, sizes: dict[str, int]) -> _Parts:
        parts, end = {}, 0
        for name, size in sizes.items():
            parts[name] = end
            end += -(-size // ALIGNMENT) * ALIGNMENT
        return cls(parts, end)


class FrameKernels:
    """The launches for frames of one size and dtype, before and after the network.

    Launches of `before` share the tracker, and with flicker suppression those of `after` share the
    picture as shown: each of the two runs in the order of frames, on one stream or joined by
    events. Everything else of a frame is in its own buffers.

    Args:
        height: of the frame, pixels.
        width: of the frame, pixels.
        dtype: uint8 or uint16.
        fit: `ladle_rt.geometry.fit_letterbox` of that size.
        spec: the model's normalisation.
        picture: what the sink wants.
        detail: add full-resolution detail from the thermal image.
        layout: colour alone, or thermal at the left and colour at the right.
        mark: write the label at the bottom right.
        network_dtype: element type of the network's input and output.
        steady: strength of flicker suppression, 0 to 1; 0 leaves it out.
        fixed_range: low and high level of every frame, counts; ``None`` measures them.

    Raises:
        ConfigError: sizes, dtypes or options that the kernels cannot do.
    """

    def __init__(
        self,
        height: int,
        width: int,
        dtype: npt.DTypeLike,
        fit: Letterbox,
        spec: ThermalNormalization,
        picture: PictureSpec,
        detail: bool,
        layout: Layout,
        mark: bool,
        network_dtype: NetworkDtype = "float32",
        *,
        steady: float = 0.0,
        fixed_range: tuple[float, float] | None = None,
    ) -> None:
        _check(height, width, np.dtype(dtype), fit, picture, network_dtype, steady)
        self._height, self._width, self._fit, self._spec = height, width, fit, spec
        self._pixel = "u8" if np.dtype(dtype) == np.uint8 else "u16"
        self.network_dtype = np.dtype(network_dtype)
        """Element type of the network's input and output."""
        self._network = "f32" if network_dtype == "float32" else "f16"
        self._format: PixelFormat = picture.pixel_format
        # An empty range tells the kernel to measure.
        self._fixed_range = fixed_range or (0.0, 0.0)
        self._side_by_side = layout == "side-by-side"
        self._part = (max(height & ~1, 2), max(width & ~1, 2)) if picture.even else (height, width)
        """Height and width of the colour part of the picture."""
        # As colorize.render: an image that grows along no side gets no detail.
        self._detail = detail and (self._part[0] > fit.height or self._part[1] > fit.width)
        self._label = label.draw(self.picture_size, self._format) if mark else None
        # A block of `picture` sees a bounded part of the network's output where nothing shrinks.
        self._through_planes = self._detail or not (
            self._part[0] >= fit.height and self._part[1] >= fit.width
        )
        self._steady = steady
        self._gate = (max(1, height // GATE_SHRINK), max(1, width // GATE_SHRINK))
        small, gate = fit.height * fit.width, math.prod(self._gate) if steady else 0
        plane = 2 * small if self._through_planes else 0
        self._scratch = _Parts.of(
            {
                "label": self._label.values.size if self._label else 0,
                "levels": _LEVELS_BYTES,
                "gate": _GATE_BYTES,
                "now": gate * self._itemsize,
                "moving": gate * 4,
                "map": gate * 4,
                "small": small * self._itemsize,
                "luma": plane,
                "slope": plane if self._detail else 0,
                "cb": plane,
                "cr": plane,
            }
        )
        self._kept = _Parts.of(
            {
                "head": _STEADY_HEAD_BYTES if steady else 0,
                "before": gate * self._itemsize,
                "reference": gate * 4,
                "shown": self._samples * 4 if steady else 0,
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
    def steady_bytes(self) -> int:
        """Of flicker suppression's state, zeroed before the first frame; 0 without."""
        return self._kept.size

    @property
    def _samples(self) -> int:
        """Bytes of the picture's colour part."""
        pixels = math.prod(self._part)
        return pixels * 3 // 2 if self._format == "yuv420p" else pixels * 3

    @property
    def _itemsize(self) -> int:
        return 1 if self._pixel == "u8" else 2

    def before(self, buffers: Buffers) -> list[Launch]:
        """Frame to network input, and how much it moves."""
        fit, spec = self._fit, self._spec
        small, gate = (fit.height, fit.width), self._gate
        ranks = [
            # As measure_levels; the smallest pixel has rank 1.
            max(math.ceil(percentile / 100 * (fit.height * fit.width)), 1)
            for percentile in (spec.low_percentile, 50.0, spec.high_percentile)
        ]
        reflects = fit.pad_height < fit.height and fit.pad_width < fit.width
        scratch, kept = self._addresses(buffers)
        now, still = (scratch["now"], kept["before"]) if self._steady else (0, 0)
        # The gate's image is made by blocks of the same launch, behind the others.
        x, y, _ = _grid(small, (_BLOCK[1], _BLOCK[0]))
        if self._steady:
            gate_x, gate_y, _ = _grid(gate, (_BLOCK[1], _BLOCK[0]))
            x, y = max(x, gate_x), max(y, gate_y)
        launches = [
            Launch(
                f"shrink_{self._pixel}",
                (x, y, 2 if self._steady else 1),
                _BLOCK,
                (
                    *map(pointer, (buffers.input, scratch["small"], buffers.state)),
                    *map(pointer, (scratch["levels"], buffers.clock)),
                    *map(int32, (self._height, self._width, *small, *ranks)),
                    float32(math.log(spec.mid_target)),
                    *map(float32, (spec.gamma_limit, spec.min_span, *self._fixed_range)),
                    *map(pointer, (now, still, kept["head"], scratch["gate"])),
                    *map(int32, gate),
                ),
            ),
            Launch(
                f"normalize_{self._pixel}_{self._network}",
                _grid(self.network_shape, (_BLOCK[1], _BLOCK[0])),
                _BLOCK,
                (
                    *map(pointer, (scratch["small"], scratch["levels"], buffers.state)),
                    pointer(buffers.thermal),
                    *map(int32, (*small, *self.network_shape, reflects)),
                ),
            ),
        ]
        return launches + self._motion(buffers) if self._steady else launches

    def _motion(self, buffers: Buffers) -> list[Launch]:
        scratch, kept = self._addresses(buffers)
        grid = _grid(self._gate, (_BLOCK[1], _BLOCK[0]))
        sizes = tuple(map(int32, self._gate))
        return [
            Launch(
                f"motion_{self._pixel}",
                grid,
                _BLOCK,
                (
                    *map(pointer, (scratch["now"], kept["before"], kept["reference"])),
                    *map(pointer, (scratch["moving"], scratch["levels"], buffers.clock)),
                    *map(pointer, (kept["head"], scratch["gate"])),
                    *sizes,
                ),
            ),
            Launch(
                f"follow_motion_{self._pixel}",
                grid,
                _BLOCK,
                (
                    *map(pointer, (scratch["now"], scratch["moving"], scratch["gate"])),
                    *map(pointer, (kept["before"], kept["reference"], scratch["map"])),
                    *sizes,
                ),
            ),
        ]

    def after(self, buffers: Buffers) -> list[Launch]:
        """Network output to picture."""
        small = (self._fit.height, self._fit.width)
        scratch, _ = self._addresses(buffers)
        sizes = tuple(map(int32, (*small, *self.network_shape)))
        grid = _grid(self._part, (_QUAD * _BLOCK[1], _QUAD * _BLOCK[0]))
        name = f"{self._format}_{self._pixel}"
        task = self._picture_task(buffers)
        if not self._through_planes:
            source = (
                pointer(buffers.rgb),
                *map(int32, (self._network == "f16", *self.network_shape)),
            )
            return [Launch(f"picture_{name}", grid, _BLOCK, (*source, *task))]
        luma, slope, cb, cr = (pointer(scratch[part]) for part in ("luma", "slope", "cb", "cr"))
        if self._detail:
            planes = Launch(
                f"fit_detail_{self._network}",
                _grid(small, _TILE),
                _BLOCK,
                (pointer(buffers.rgb), pointer(buffers.thermal), luma, slope, cb, cr, *sizes),
            )
        else:
            slope = pointer(0)
            planes = Launch(
                f"to_planes_{self._network}",
                _grid(small, (_BLOCK[1], _BLOCK[0])),
                _BLOCK,
                (pointer(buffers.rgb), luma, cb, cr, *sizes),
            )
        return [
            planes,
            Launch(f"planes_picture_{name}", grid, _BLOCK, (luma, cb, cr, slope, *task)),
        ]

    def _picture_task(self, buffers: Buffers) -> tuple[Arg, ...]:
        scratch, kept = self._addresses(buffers)
        small = (self._fit.height, self._fit.width)
        height, width = self._part
        chroma = (height // 2, width // 2) if self._format == "yuv420p" else self._part
        mark = self._label
        steady = (kept["shown"], scratch["map"], scratch["gate"]) if self._steady else (0, 0, 0)
        return (
            *map(pointer, (buffers.input, scratch["levels"])),
            pointer(scratch["label"] if mark else 0),
            pointer(buffers.output),
            *map(int32, (self._height, self._width, height, width, *small)),
            int32(_shrinks(self._part, small)),
            int32(_shrinks(chroma, small)),
            int32(self._side_by_side),
            int32(mark.top if mark else 0),
            int32(mark.left if mark else 0),
            *map(pointer, steady),
            *map(int32, self._gate),
            *map(float32, (self._steady * LUMA_KEEP, self._steady * CHROMA_KEEP)),
        )

    def bytes_moved(self) -> BytesMoved:
        """The least traffic of each launch: every input read once, every output written once.

        The bound that a kernel's time is held against; neighbours that several threads read
        are expected from the caches.
        """
        small, gate = self._fit.height * self._fit.width, math.prod(self._gate)
        thermal, histogram, plane = self.thermal_bytes, 4 * _BINS, 2 * small
        shrunk, pixel = small * self._itemsize, self._pixel
        # The unpadded part of three network planes.
        rgb = 3 * small * self.network_dtype.itemsize
        sees_frame = self._detail or self._side_by_side
        before = {
            f"shrink_{pixel}": self.input_bytes
            + shrunk
            + 3 * histogram
            + _LEVELS_BYTES
            + (gate * self._itemsize if self._steady else 0),
            f"normalize_{pixel}_{self._network}": shrunk + thermal,
        }
        if self._steady:
            # Two images and floats in, a float out; two images and two floats in, four out.
            before[f"motion_{pixel}"] = gate * (2 * self._itemsize + 8)
            before[f"follow_motion_{pixel}"] = gate * (2 * self._itemsize + 16)
        picture = self.output_bytes + (self.input_bytes if sees_frame else 0)
        if self._steady:
            picture += 8 * self._samples + 4 * gate
        name = f"{self._format}_{pixel}"
        if not self._through_planes:
            return BytesMoved(before, {f"picture_{name}": rgb + picture})
        planes = plane * (4 if self._detail else 3)
        first = f"{'fit_detail' if self._detail else 'to_planes'}_{self._network}"
        seen = small * self.network_dtype.itemsize if self._detail else 0
        return BytesMoved(
            before,
            {first: rgb + seen + planes, f"planes_picture_{name}": planes + picture},
        )

    def _addresses(self, buffers: Buffers) -> tuple[dict[str, int], dict[str, int]]:
        """Of the parts of scratch, and of what flicker suppression keeps (null without it)."""
        kept = buffers.steady if self._steady else 0
        return (
            {name: buffers.scratch + start for name, start in self._scratch.parts.items()},
            {name: kept + start for name, start in self._kept.parts.items()},
        )


def read_levels(head: bytes) -> Levels:
    """Levels in counts from the beginning of ``TrackerState``."""
    low, mid, high, *rest = TRACKER_HEAD.unpack(head)[:6]
    return Levels(low + rest[0], mid + rest[1], high + rest[2])


def pack_levels(levels: Levels) -> bytes:
    """The inverse of `read_levels`."""
    exact = np.array([levels.low, levels.mid, levels.high])
    rounded = exact.astype(np.float32)
    return TRACKER_HEAD.pack(*rounded, *(exact - rounded), 0, 0)


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


def _grid(image: tuple[int, int], covered: tuple[int, int]) -> Size:
    """Blocks for an image when each covers that many rows and columns."""
    return (-(-image[1] // covered[1]), -(-image[0] // covered[0]), 1)


def _shrinks(target: tuple[int, int], source: tuple[int, int]) -> bool:
    """Whether `colorize` resizes by area average: nothing grows."""
    return target[0] <= source[0] and target[1] <= source[1]
