"""Blocks of threads of the frame kernels, as the ``.cu`` files expect them."""

from __future__ import annotations

from ladle_rt.cuda.launch import Size

BLOCK: Size = (32, 8, 1)
"""Threads of every kernel's block, along x, y and z."""
PIXEL_EACH = (8, 32)
"""Rows and columns of a block whose threads make a pixel each."""
QUAD_EACH = (16, 64)
"""Of one whose threads make 2x2 pixels each."""
DETAIL_TILE = (16, 32)
"""Of a block of ``fit_detail``."""


def grid(image: tuple[int, int], covered: tuple[int, int]) -> Size:
    """Blocks for an image when each covers that many rows and columns."""
    return (-(-image[1] // covered[1]), -(-image[0] // covered[0]), 1)
