from __future__ import annotations

import av
import numpy as np
import pytest

from ladle_rt.sources.pixel_layouts import COLOURED_SHARE, coloured_share, intensities

RAMP8 = np.tile(np.arange(0, 252, 4, dtype=np.uint8)[:36], (22, 1))
RAMP16 = RAMP8.astype(np.uint16) * 200 + 7


@pytest.mark.parametrize("name", ["gray", "yuv420p", "yuvj420p", "yuv444p", "nv12"])
def test_first_plane_is_copied_byte_for_byte(name: str) -> None:
    frame = av.VideoFrame(36, 22, name)
    lines = np.zeros(
        (
            frame.planes[0].buffer_size // frame.planes[0].line_size,
            frame.planes[0].line_size,
        ),
        np.uint8,
    )
    lines[:22, :36] = RAMP8
    frame.planes[0].update(lines.tobytes())
    pixels = intensities(frame)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, RAMP8)
    assert pixels.flags.c_contiguous
    assert pixels.flags.owndata


@pytest.mark.parametrize("name", ["gray16le", "gray16be"])
def test_sixteen_bit_counts_are_kept_in_native_order(name: str) -> None:
    frame = av.VideoFrame.from_ndarray(RAMP16, format="gray16le")
    if name == "gray16be":
        frame = frame.reformat(format="gray16be")
    pixels = intensities(frame)
    assert pixels.dtype == np.uint16
    assert pixels.dtype.isnative
    np.testing.assert_array_equal(pixels, RAMP16)


@pytest.mark.parametrize(
    "name", ["gray10le", "gray12be", "yuv420p10le", "yuv420p10be", "p010le", "p010be"]
)
def test_more_than_eight_bits_keep_their_counts(name: str) -> None:
    counts = RAMP8.astype(np.uint16) * 4 + 3
    stored = counts << 6 if name.startswith("p010") else counts
    frame = av.VideoFrame(36, 22, name)
    for plane in frame.planes[1:]:
        neutral = 512 << 6 if name.startswith("p010") else 512
        order = ">u2" if name.endswith("be") else "<u2"
        plane.update(np.full(plane.buffer_size // 2, neutral, order).tobytes())
    plane = frame.planes[0]
    lines = np.zeros((plane.buffer_size // plane.line_size, plane.line_size // 2), np.uint16)
    lines[:22, :36] = stored
    plane.update(lines.astype(">u2" if name.endswith("be") else "<u2").tobytes())
    pixels = intensities(frame)
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, stored)
    assert coloured_share(frame) == 0


@pytest.mark.parametrize("name", ["rgb24", "bgr24", "rgba", "bgr0", "gbrp"])
def test_grey_rgb_gives_exact_counts(name: str) -> None:
    rgb = np.repeat(RAMP8[..., None], 3, axis=2)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    frame = frame if name == "rgb24" else frame.reformat(format=name)
    np.testing.assert_array_equal(intensities(frame), RAMP8)
    assert coloured_share(frame) == 0


def test_palette_pictures_are_read_through_their_palette() -> None:
    frame = av.VideoFrame(36, 22, "pal8")
    indices = np.zeros((22, frame.planes[0].line_size), np.uint8)
    indices[:, :36] = RAMP8
    frame.planes[0].update(indices.tobytes())
    inverted = np.repeat(255 - np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    frame.planes[1].update(np.ascontiguousarray(inverted).tobytes())
    np.testing.assert_array_equal(intensities(frame), 255 - RAMP8)


def _rainbow() -> np.ndarray:
    value = RAMP8.astype(np.int32)
    return np.stack([value, 255 - value, np.full_like(value, 40)], 2).astype(np.uint8)


@pytest.mark.parametrize(
    "name",
    [
        "rgb24",
        "gbrp",
        "rgb48be",
        "yuv420p",
        "yuv444p",
        "nv12",
        "yuv420p10le",
        "p010le",
        "yuyv422",
        "nv24",
    ],
)
def test_a_palette_is_recognised_in_every_layout(name: str) -> None:
    frame = av.VideoFrame.from_ndarray(_rainbow(), format="rgb24")
    try:
        frame = frame if name == "rgb24" else frame.reformat(format=name)
    except (ValueError, av.FFmpegError):
        pytest.skip(f"this FFmpeg cannot write {name}")
    assert coloured_share(frame) > 0.5


def test_a_small_logo_is_not_a_palette() -> None:
    rgb = np.repeat(RAMP8[..., None], 3, axis=2)
    rgb[:3, :5] = (255, 0, 0)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv444p")
    assert 0 < coloured_share(frame) <= COLOURED_SHARE


def test_luminance_mixes_the_channels() -> None:
    frame = av.VideoFrame.from_ndarray(_rainbow(), format="rgb24")
    rgb = _rainbow().astype(np.float64)
    expected = rgb @ (0.299, 0.587, 0.114)
    assert np.abs(intensities(frame, luminance=True) - expected).max() < 3


def test_chroma_noise_of_an_encoder_is_tolerated() -> None:
    frame = av.VideoFrame(64, 64, "yuv420p")
    rng = np.random.default_rng(3)
    for plane in frame.planes:
        plane.update(rng.integers(120, 137, plane.buffer_size, dtype=np.uint8).tobytes())
    assert coloured_share(frame) == 0
