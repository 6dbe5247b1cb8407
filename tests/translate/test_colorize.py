"""Pictures: BT.709 planes against swscale, formats that agree, thermal beside, label."""

from __future__ import annotations

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.frames import Picture, PixelFormat
from ladle_rt.thermal.normalization import (
    ThermalNormalization,
    apply_levels,
    measure_levels,
    normalize,
)
from ladle_rt.translate.colorize import PictureSpec, Rendering, render

SPEC = ThermalNormalization()
YUV, RGB = PictureSpec("yuv420p", True), PictureSpec("rgb24", False)


def smooth(shape: tuple[int, ...], seed: int = 0) -> npt.NDArray[np.float32]:
    """Random low-frequency values in [0.1,0.9]."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((4, 5, *shape[2:]), dtype=np.float32) * 0.8 + 0.1
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def rendering(full: tuple[int, int], small: tuple[int, int]) -> Rendering:
    pixels = (smooth(full, 1) * 255).astype(np.uint8)
    rgb = np.ascontiguousarray(smooth((*small, 3)).transpose(2, 0, 1))
    thermal = normalize(cv2.resize(pixels, small[::-1], interpolation=cv2.INTER_AREA), SPEC)
    return Rendering(rgb, thermal, pixels, measure_levels(pixels, SPEC))


def draw(item: Rendering, picture: PictureSpec, **options: object) -> Picture:
    settings: dict[str, object] = {"detail": False, "layout": "colour", "mark": False, **options}
    return render(item, SPEC, picture, **settings)  # type: ignore[arg-type]


def by_swscale(data: npt.NDArray[np.uint8], source: str, target: str) -> npt.NDArray[np.uint8]:
    frame = av.VideoFrame.from_ndarray(data, format=source)
    limited, full = "MPEG", "JPEG"
    ranges = (full, limited) if source == "rgb24" else (limited, full)
    result = frame.reformat(
        format=target,
        src_colorspace="ITU709",
        dst_colorspace="ITU709",
        src_color_range=ranges[0],
        dst_color_range=ranges[1],
    )
    return result.to_ndarray()


def test_planes_are_bt709_limited_range() -> None:
    item = rendering((64, 96), (64, 96))
    picture = draw(item, YUV)
    rgb = (item.rgb.transpose(1, 2, 0) * 255).round().astype(np.uint8)
    expected = by_swscale(np.ascontiguousarray(rgb), "rgb24", "yuv420p")
    assert picture.data.shape == expected.shape == (96, 96)
    assert np.abs(picture.data.astype(int) - expected).max() <= 2


def test_both_formats_show_the_same_colours() -> None:
    item = rendering((128, 192), (64, 96))
    rgb = draw(item, PictureSpec("rgb24", True)).data
    from_yuv = by_swscale(draw(item, YUV).data, "yuv420p", "rgb24")
    assert np.abs(rgb.astype(int) - from_yuv).mean() < 1.5


def test_network_colours_survive() -> None:
    item = rendering((64, 96), (64, 96))
    expected = item.rgb.transpose(1, 2, 0) * 255
    assert np.abs(draw(item, RGB).data - expected).max() <= 1


@pytest.mark.parametrize(
    ("full", "expected"),
    [((65, 97), (96, 64)), ((64, 97), (96, 64)), ((1, 1), (2, 2)), ((1, 31), (30, 2))],
)
def test_even_crops_by_a_pixel(full: tuple[int, int], expected: tuple[int, int]) -> None:
    picture = draw(rendering(full, (32, 48)), YUV, detail=True)
    assert (picture.width, picture.height) == expected
    assert picture.data.shape == (expected[1] * 3 // 2, expected[0])


@pytest.mark.parametrize("full", [(65, 97), (1, 1), (3, 200), (301, 401)])
def test_rgb_keeps_the_exact_size(full: tuple[int, int]) -> None:
    picture = draw(rendering(full, (32, 48)), RGB, detail=True)
    assert picture.data.shape == (*full, 3) and picture.data.flags.c_contiguous


@pytest.mark.parametrize("pixel_format", ["yuv420p", "rgb24"])
def test_side_by_side(pixel_format: PixelFormat) -> None:
    item = rendering((64, 96), (32, 48))
    spec = PictureSpec(pixel_format, True)
    alone = draw(item, spec, detail=True)
    both = draw(item, spec, detail=True, layout="side-by-side")
    shown = apply_levels(item.pixels, item.levels, SPEC)
    assert (both.width, both.height) == (192, 64)
    assert np.array_equal(both.data[:64, 96:], alone.data[:64])
    if pixel_format == "rgb24":
        left = both.data[:, :96]
        assert np.ptp(left.astype(int), axis=2).max() <= 1
        assert np.abs(left[..., 0] - 255 * shown).max() <= 1.5
    else:
        assert np.abs(both.data[:64, :96] - (16 + 219 * shown)).max() <= 0.51
        # The chroma planes follow the 64 luma rows; their left halves are neutral.
        chroma = both.data[64:].reshape(2, 32, 96)
        assert (chroma[:, :, :48] == 128).all()


def test_label_is_there_readable_and_left_out_where_too_small() -> None:
    item = rendering((256, 320), (64, 80))
    plain, marked = draw(item, RGB), draw(item, RGB, mark=True)
    changed = np.argwhere((plain.data != marked.data).any(axis=2))
    assert changed[:, 0].min() > 200 and changed[:, 1].min() > 100
    region = marked.data[changed[:, 0].min() :, changed[:, 1].min() :]
    assert region.min() == 0 and region.max() > 200
    for full in ((24, 40), (16, 400)):
        tiny = rendering(full, (16, 40))
        assert np.array_equal(draw(tiny, RGB).data, draw(tiny, RGB, mark=True).data)


@pytest.mark.parametrize("full", [(1080, 200), (1000, 240), (64, 400), (640, 360)])
def test_label_fits_narrow_pictures(full: tuple[int, int]) -> None:
    item = rendering(full, (64, 80))
    changed = np.argwhere((draw(item, RGB).data != draw(item, RGB, mark=True).data).any(axis=2))
    assert changed[:, 0].min() >= full[0] // 2 and np.ptp(changed[:, 1]) > 60


def edges(polarity: int) -> Rendering:
    """A thin hot bar that the network paints bright (1) or dark (-1), four times too small."""
    pixels = np.full((128, 192), 60, np.uint8)
    pixels[:, 90:98] = 180
    small = cv2.resize(pixels, (48, 32), interpolation=cv2.INTER_AREA)
    thermal = normalize(small, SPEC)
    value = 0.5 + polarity * 0.3 * (thermal - 0.5)
    rgb = np.repeat(value[None], 3, axis=0).astype(np.float32)
    return Rendering(rgb, thermal, pixels, measure_levels(small, SPEC))


@pytest.mark.parametrize("polarity", [1, -1])
def test_detail_sharpens_with_the_right_sign(polarity: int) -> None:
    item = edges(polarity)
    soft, sharp = (draw(item, YUV, detail=on).data[:128].astype(int) for on in (False, True))

    def steepest(luma: npt.NDArray[np.int_]) -> int:
        return int(np.abs(np.diff(luma[64])).max())

    assert steepest(sharp) > 1.3 * steepest(soft)
    contrast = sharp[64, 94] - sharp[64, 20]
    assert np.sign(contrast) == polarity


def test_detail_adds_nothing_where_thermal_is_flat() -> None:
    item = rendering((128, 192), (32, 48))
    flat = Rendering(
        item.rgb, np.full((32, 48), 0.5, np.float32), item.pixels * 0 + 90, item.levels
    )
    soft, sharp = (draw(flat, YUV, detail=on).data for on in (False, True))
    assert np.abs(soft.astype(int) - sharp).max() <= 1
