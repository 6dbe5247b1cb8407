"""Thermal intensities out of decoded frames of any pixel format, without colour conversion.

Grey and YUV frames carry intensities as their first plane, which is copied as it is: the
thermal normalisation works on percentiles, so neither range nor bit alignment matters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import ThermalPixels

NEUTRAL_TOLERANCE = 14
"""Chroma within this distance of neutral (8-bit counts) counts as grey: lossy encoders and
cheap converters leave a little."""
COLOURED_SHARE = 0.04
"""Share of coloured samples above which a frame is in colour; markers and logos stay below."""
SAMPLES_PER_SIDE = 96
"""Colour is judged on at most this many samples along each side."""
BAR_AREA = 0.15
"""A colour bar or a logo takes at most this share of the picture,"""
BAR_FILLED = 0.6
"""is coloured in this share of itself"""
BAR_EDGE = 0.12
"""and lies this near to an edge of the picture, in shares of its side."""


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How to read intensities and chroma from one pixel format."""

    convert: str | None
    """Lossless or nearest readable format to convert to first; ``None`` reads directly."""
    rgb: bool
    """Packed rgb24 or rgb48 after conversion, else luma is the first plane."""
    dtype: np.dtype[Any]
    """Of one sample, with its byte order."""
    chroma_planes: tuple[int, ...]
    """Planes that hold chroma."""
    interleaved_chroma: bool
    """U and V alternate in one plane."""
    neutral: int
    """Chroma value of grey."""
    chroma_unit: int
    """One 8-bit count of chroma, in this format's counts."""


@lru_cache(maxsize=64)
def layout_of(name: str) -> PixelLayout:
    """The reading plan for a pixel format, by its FFmpeg name."""
    pixel = av.VideoFormat(name)
    bits = max(component.bits for component in pixel.components)
    wide = bits > 8
    if pixel.is_rgb or pixel.has_palette or name.startswith(("bayer", "xyz")):
        target = "rgb48le" if wide else "rgb24"
        return PixelLayout(
            None if name == target else target,
            rgb=True,
            dtype=np.dtype("<u2" if wide else "u1"),
            chroma_planes=(),
            interleaved_chroma=False,
            neutral=0,
            chroma_unit=257 if wide else 1,
        )
    # PyAV's is_chroma means "subsampled"; 4:4:4 has chroma too.
    chroma = sorted({component.plane for component in pixel.components[1:3]})
    if len(pixel.components) < 3:
        chroma = []
    if not _first_plane_is_luma(pixel, name):
        target = ("yuv444p" if chroma else "gray") + ("16le" if wide else "")
        return replace(layout_of(target), convert=target)
    # P010 and its relatives keep their bits at the top of the word.
    depth = 16 if name.startswith(("p0", "p2", "p4")) else bits
    return PixelLayout(
        None,
        rgb=False,
        dtype=np.dtype((">u2" if pixel.is_big_endian else "<u2") if wide else "u1"),
        chroma_planes=tuple(chroma),
        interleaved_chroma=len(chroma) == 1,
        neutral=1 << (depth - 1),
        chroma_unit=1 << (depth - 8),
    )


def _first_plane_is_luma(pixel: av.VideoFormat, name: str) -> bool:
    """Whether the first plane holds luma and nothing else, as integers of whole bytes."""
    first, rest = pixel.components[0], pixel.components[1:]
    return (
        8 <= first.bits <= 16
        and first.plane == 0
        and all(component.plane != 0 for component in rest)
        and not name.startswith(("grayf", "yaf"))
    )


def plane_view(plane: Any, dtype: np.dtype[Any], samples: int) -> npt.NDArray[Any]:
    """One plane of a frame without its line padding.

    Args:
        plane: PyAV plane.
        dtype: of one sample.
        samples: samples in a line.

    Returns:
        HxS view of the frame's memory: valid only while the frame lives.
    """
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
    return lines[:, : samples * dtype.itemsize].view(dtype)


def intensities(frame: av.VideoFrame, *, luminance: bool = False) -> ThermalPixels:
    """Copy the intensities out of a frame.

    Args:
        frame: any pixel format.
        luminance: mix RGB into luminance; otherwise RGB is taken to be grey and only its
            green channel is read, which keeps the counts exact.

    Returns:
        HxW, uint8 or uint16 (native byte order) in the format's own counts, C-contiguous,
        owned by the caller.
    """
    layout = layout_of(frame.format.name)
    if layout.rgb and luminance:
        frame = frame.reformat(format="gray16le" if layout.dtype.itemsize == 2 else "gray")
        layout = layout_of(frame.format.name)
    if layout.convert is not None:
        frame = frame.reformat(format=layout.convert)
    if layout.rgb:
        view = plane_view(frame.planes[0], layout.dtype, frame.width * 3)[:, 1::3]
    else:
        view = plane_view(frame.planes[0], layout.dtype, frame.width)
    native: npt.DTypeLike = np.uint16 if layout.dtype.itemsize == 2 else np.uint8
    return np.array(view, dtype=native, order="C", copy=True)


def coloured_share(frame: av.VideoFrame) -> float:
    """Share of a frame's samples (0-1) whose colour clearly differs from grey.

    Looks at a subsample: the cost does not grow with the frame.
    """
    layout = layout_of(frame.format.name)
    if not layout.rgb and not layout.chroma_planes:
        return 0.0
    if layout.convert is not None:
        frame = frame.reformat(format=layout.convert)
    limit = NEUTRAL_TOLERANCE * layout.chroma_unit
    if layout.rgb:
        lines = plane_view(frame.planes[0], layout.dtype, frame.width * 3)
        packed = _thin(lines.reshape(frame.height, frame.width, 3)).astype(np.int32)
        return share_without_bar(np.ptp(packed, axis=2) > 2 * limit)
    planes = [frame.planes[index] for index in layout.chroma_planes]
    if layout.interleaved_chroma:
        lines = plane_view(planes[0], layout.dtype, planes[0].width * 2)
        views = [lines[:, 0::2], lines[:, 1::2]]
    else:
        views = [plane_view(plane, layout.dtype, plane.width) for plane in planes]
    distance = [np.abs(_thin(view).astype(np.int32) - layout.neutral) for view in views]
    return share_without_bar(np.maximum(*distance) > limit)


def share_without_bar(coloured: npt.NDArray[np.bool_]) -> float:
    """Share of a picture that is coloured, without a scale drawn at its edge.

    Args:
        coloured: HxW.
    """
    share = float(coloured.mean())
    if share <= COLOURED_SHARE:
        return share
    _, _, found, _ = cv2.connectedComponentsWithStats(coloured.astype(np.uint8))
    x, y, across, down, area = found[1:].T.astype(np.int64)
    height, width = coloured.shape
    box = across * down
    gap = np.minimum.reduce(
        [x / width, y / height, 1 - (x + across) / width, 1 - (y + down) / height]
    )
    bar = (box <= BAR_AREA * coloured.size) & (area >= BAR_FILLED * box) & (gap <= BAR_EDGE)
    return share - float(area[bar].sum()) / coloured.size


def packed_words(frame: av.VideoFrame) -> npt.NDArray[np.uint16] | None:
    """What a camera sent as 4:2:2 of 8 bits, two bytes a pixel, as 16-bit words.

    Returns:
        HxW, little-endian words of luma and chroma, which is how cameras carry raw counts;
        ``None`` for other formats, which would have mixed the bytes.
    """
    name = frame.format.name
    if name in ("yuyv422", "uyvy422"):
        first = plane_view(frame.planes[0], np.dtype("u1"), frame.width * 2)
        words = np.ascontiguousarray(first).view("<u2" if name == "yuyv422" else ">u2")
        return words.astype(np.uint16)
    if name not in ("yuv422p", "yuvj422p"):
        return None
    luma, blue, red = (
        plane_view(plane, np.dtype("u1"), plane.width).astype(np.uint16) for plane in frame.planes
    )
    luma[:, 0::2] |= blue[:, : luma[:, 0::2].shape[1]] << 8
    luma[:, 1::2] |= red[:, : luma[:, 1::2].shape[1]] << 8
    return luma


def _thin(view: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rows, columns = (max(1, -(-side // SAMPLES_PER_SIDE)) for side in view.shape[:2])
    return view[::rows, ::columns]
