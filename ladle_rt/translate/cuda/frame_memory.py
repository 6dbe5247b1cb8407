"""What lies where in device memory while a frame is worked on.

Structures of the ``.cu`` files appear here as their sizes.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from ladle_rt.frames import Levels
from ladle_rt.translate.cuda.frame_shapes import FrameShapes

ALIGNMENT = 256
"""Of every buffer and of the parts of scratch, bytes; what ``cuMemAlloc`` gives."""
BINS = 256
"""Of a histogram."""
TRACKER_HEAD = struct.Struct("=6f2I")
"""The beginning of ``TrackerState``: low, mid and high level, what each lacks, two counters."""
LEVELS_BYTES = 16 + 4 * BINS
"""``FrameLevels``."""

_TRACKER_BYTES = TRACKER_HEAD.size + 4 * BINS
"""``TrackerState`` up to its histogram of 16-bit values."""
_FINE_BYTES = 4 * BINS * BINS
_GATE_BYTES = 8
"""``FrameGate``."""
_STEADY_HEAD_BYTES = 16
"""``SteadyState``."""


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
class Parts:
    """Where the parts of a buffer begin, bytes; one after another, aligned."""

    starts: dict[str, int]
    size: int

    @classmethod
    def of(cls, sizes: dict[str, int]) -> Parts:
        """Parts of these sizes, bytes; one of 0 shares its beginning with the next."""
        starts, end = {}, 0
        for name, size in sizes.items():
            starts[name] = end
            end += -(-size // ALIGNMENT) * ALIGNMENT
        return cls(starts, end)

    def at(self, address: int) -> dict[str, int]:
        """Addresses of the parts of a buffer that begins at one."""
        return {name: address + start for name, start in self.starts.items()}


@dataclass(frozen=True, slots=True)
class FrameMemory:
    """Sizes of all buffers of one frame, bytes."""

    input: int
    thermal: int
    """Of the network's input; its output takes three times as much."""
    output: int
    state: int
    scratch: Parts
    kept: Parts
    """Of flicker suppression's state; of size 0 without."""

    @classmethod
    def of(cls, shapes: FrameShapes) -> FrameMemory:
        """What frames of these shapes need."""
        item, steady = shapes.itemsize, bool(shapes.steady)
        small, gate = math.prod(shapes.small), math.prod(shapes.gate) if steady else 0
        plane = 2 * small if shapes.through_planes else 0
        return cls(
            input=math.prod(shapes.frame) * item,
            thermal=math.prod(shapes.network) * shapes.network_dtype.itemsize,
            output=math.prod(shapes.output),
            state=_TRACKER_BYTES + (_FINE_BYTES if shapes.pixel == "u16" else 0),
            scratch=Parts.of(
                {
                    "label": shapes.label.values.size if shapes.label else 0,
                    "levels": LEVELS_BYTES,
                    "gate": _GATE_BYTES,
                    "now": gate * item,
                    "moving": gate * 4,
                    "map": gate * 4,
                    "small": small * item,
                    "luma": plane,
                    "slope": plane if shapes.detail else 0,
                    "cb": plane,
                    "cr": plane,
                }
            ),
            kept=Parts.of(
                {
                    "head": _STEADY_HEAD_BYTES if steady else 0,
                    "before": gate * item,
                    "reference": gate * 4,
                    "shown": shapes.samples * 4 if steady else 0,
                }
            ),
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
