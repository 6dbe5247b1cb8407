"""The launches before the network, of ``before.cu`` and ``steady.cu``: frame to network input."""

from __future__ import annotations

import math

from ladle_rt.cuda.launch import Launch, float32, int32, pointer
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.cuda.frame_memory import BINS, LEVELS_BYTES, Buffers, FrameMemory
from ladle_rt.translate.cuda.frame_shapes import FrameShapes
from ladle_rt.translate.cuda.thread_blocks import BLOCK, PIXEL_EACH, grid


def launches_before(
    shapes: FrameShapes,
    memory: FrameMemory,
    spec: ThermalNormalization,
    fixed_range: tuple[float, float] | None,
    buffers: Buffers,
) -> list[Launch]:
    """In their order, on one stream.

    Args:
        shapes: of the frame.
        memory: theirs.
        spec: the model's normalisation.
        fixed_range: low and high level, counts; ``None`` measures them.
        buffers: of the frame.
    """
    small, steady = shapes.small, bool(shapes.steady)
    ranks = [
        # As measure_levels; the smallest pixel has rank 1.
        max(math.ceil(percentile / 100 * math.prod(small)), 1)
        for percentile in (spec.low_percentile, 50.0, spec.high_percentile)
    ]
    padding = (whole - side for whole, side in zip(shapes.network, small, strict=True))
    reflects = all(more < side for more, side in zip(padding, small, strict=True))
    scratch = memory.scratch.at(buffers.scratch)
    kept = memory.kept.at(buffers.steady if steady else 0)
    now, still = (scratch["now"], kept["before"]) if steady else (0, 0)
    # The gate's image is made by blocks of the same launch, behind the others.
    x, y, _ = grid(small, PIXEL_EACH)
    if steady:
        gate_x, gate_y, _ = grid(shapes.gate, PIXEL_EACH)
        x, y = max(x, gate_x), max(y, gate_y)
    launches = [
        Launch(
            f"shrink_{shapes.pixel}",
            (x, y, 2 if steady else 1),
            BLOCK,
            (
                *map(pointer, (buffers.input, scratch["small"], buffers.state)),
                *map(pointer, (scratch["levels"], buffers.clock)),
                *map(int32, (*shapes.frame, *small, *ranks)),
                float32(math.log(spec.mid_target)),
                *map(float32, (spec.gamma_limit, spec.min_span)),
                # An empty range tells the kernel to measure.
                *map(float32, fixed_range or (0.0, 0.0)),
                *map(pointer, (now, still, kept["head"], scratch["gate"])),
                *map(int32, shapes.gate),
            ),
        ),
        Launch(
            f"normalize_{shapes.pixel}_{shapes.network_name}",
            grid(shapes.network, PIXEL_EACH),
            BLOCK,
            (
                *map(pointer, (scratch["small"], scratch["levels"], buffers.state)),
                pointer(buffers.thermal),
                *map(int32, (*small, *shapes.network, reflects)),
            ),
        ),
    ]
    return launches + _motion(shapes, scratch, kept, buffers.clock) if steady else launches


def _motion(
    shapes: FrameShapes, scratch: dict[str, int], kept: dict[str, int], clock: int
) -> list[Launch]:
    blocks = grid(shapes.gate, PIXEL_EACH)
    sizes = tuple(map(int32, shapes.gate))
    return [
        Launch(
            f"motion_{shapes.pixel}",
            blocks,
            BLOCK,
            (
                *map(pointer, (scratch["now"], kept["before"], kept["reference"])),
                *map(pointer, (scratch["moving"], scratch["levels"], clock)),
                *map(pointer, (kept["head"], scratch["gate"])),
                *sizes,
            ),
        ),
        Launch(
            f"follow_motion_{shapes.pixel}",
            blocks,
            BLOCK,
            (
                *map(pointer, (scratch["now"], scratch["moving"], scratch["gate"])),
                *map(pointer, (kept["before"], kept["reference"], scratch["map"])),
                *sizes,
            ),
        ),
    ]


def moved_before(shapes: FrameShapes, memory: FrameMemory) -> dict[str, int]:
    """What each launch must read and write at least once, by kernel, bytes."""
    item, gate, pixel = shapes.itemsize, math.prod(shapes.gate), shapes.pixel
    shrunk, histogram = math.prod(shapes.small) * item, 4 * BINS
    seen = memory.input + shrunk + 3 * histogram + LEVELS_BYTES
    moved = {
        f"shrink_{pixel}": seen + (gate * item if shapes.steady else 0),
        f"normalize_{pixel}_{shapes.network_name}": shrunk + memory.thermal,
    }
    if shapes.steady:
        # Two images and floats in, a float out; two images and two floats in, four out.
        moved[f"motion_{pixel}"] = gate * (2 * item + 8)
        moved[f"follow_motion_{pixel}"] = gate * (2 * item + 16)
    return moved
