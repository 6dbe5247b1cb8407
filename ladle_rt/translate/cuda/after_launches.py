"""The launches after the network, of ``after.cu``: network output to picture."""

from __future__ import annotations

import math

from ladle_rt.cuda.launch import Arg, Launch, float32, int32, pointer
from ladle_rt.translate.cuda.frame_memory import Buffers, FrameMemory
from ladle_rt.translate.cuda.frame_shapes import FrameShapes, Sides
from ladle_rt.translate.cuda.thread_blocks import BLOCK, DETAIL_TILE, PIXEL_EACH, QUAD_EACH, grid
from ladle_rt.translate.steady import CHROMA_KEEP, LUMA_KEEP


def launches_after(shapes: FrameShapes, memory: FrameMemory, buffers: Buffers) -> list[Launch]:
    """In their order, on one stream.

    Args:
        shapes: of the frame.
        memory: theirs.
        buffers: of the frame, as the launches before the network left them.
    """
    scratch = memory.scratch.at(buffers.scratch)
    sizes = tuple(map(int32, (*shapes.small, *shapes.network)))
    blocks = grid(shapes.part, QUAD_EACH)
    task = _picture_task(shapes, memory, buffers)
    if not shapes.through_planes:
        halves = shapes.network_name == "f16"
        source = (pointer(buffers.rgb), *map(int32, (halves, *shapes.network)))
        return [Launch(f"picture_{shapes.picture_name}", blocks, BLOCK, (*source, *task))]
    luma, slope, cb, cr = (pointer(scratch[part]) for part in ("luma", "slope", "cb", "cr"))
    if shapes.detail:
        planes = Launch(
            f"fit_detail_{shapes.network_name}",
            grid(shapes.small, DETAIL_TILE),
            BLOCK,
            (pointer(buffers.rgb), pointer(buffers.thermal), luma, slope, cb, cr, *sizes),
        )
    else:
        slope = pointer(0)
        planes = Launch(
            f"to_planes_{shapes.network_name}",
            grid(shapes.small, PIXEL_EACH),
            BLOCK,
            (pointer(buffers.rgb), luma, cb, cr, *sizes),
        )
    picture = f"planes_picture_{shapes.picture_name}"
    return [planes, Launch(picture, blocks, BLOCK, (luma, cb, cr, slope, *task))]


def _picture_task(shapes: FrameShapes, memory: FrameMemory, buffers: Buffers) -> tuple[Arg, ...]:
    scratch, kept = memory.scratch.at(buffers.scratch), memory.kept.at(buffers.steady)
    mark = shapes.label
    strength = shapes.steady
    steady = (kept["shown"], scratch["map"], scratch["gate"]) if strength else (0, 0, 0)
    return (
        *map(pointer, (buffers.input, scratch["levels"])),
        pointer(scratch["label"] if mark else 0),
        pointer(buffers.output),
        *map(int32, (*shapes.frame, *shapes.part, *shapes.small)),
        int32(_shrinks(shapes.part, shapes.small)),
        int32(_shrinks(shapes.chroma, shapes.small)),
        int32(shapes.side_by_side),
        int32(mark.top if mark else 0),
        int32(mark.left if mark else 0),
        *map(pointer, steady),
        *map(int32, shapes.gate),
        *map(float32, (strength * LUMA_KEEP, strength * CHROMA_KEEP)),
    )


def moved_after(shapes: FrameShapes, memory: FrameMemory) -> dict[str, int]:
    """What each launch must read and write at least once, by kernel, bytes."""
    small, item = math.prod(shapes.small), shapes.network_dtype.itemsize
    # The unpadded part of three network planes.
    rgb = 3 * small * item
    picture = memory.output
    if shapes.detail or shapes.side_by_side:
        picture += memory.input
    if shapes.steady:
        picture += 8 * shapes.samples + 4 * math.prod(shapes.gate)
    if not shapes.through_planes:
        return {f"picture_{shapes.picture_name}": rgb + picture}
    planes = 2 * small * (4 if shapes.detail else 3)
    first = f"{'fit_detail' if shapes.detail else 'to_planes'}_{shapes.network_name}"
    seen = small * item if shapes.detail else 0
    return {
        first: rgb + seen + planes,
        f"planes_picture_{shapes.picture_name}": planes + picture,
    }


def _shrinks(target: Sides, source: Sides) -> bool:
    """Whether `colorize` resizes by area average: nothing grows."""
    return target[0] <= source[0] and target[1] <= source[1]
