"""The CUDA kernels, run on the host, against the CPU path (NumPy and OpenCV)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.frames import PixelFormat, ThermalPixels
from ladle_rt.geometry import Letterbox, crop, fit_letterbox, pad, shrink
from ladle_rt.thermal.normalization import LevelTracker, ThermalNormalization, apply_levels
from ladle_rt.translate.colorize import PictureSpec, Rendering, render
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.frame_memory import Buffers

SPEC = ThermalNormalization()
BOX, MULTIPLE = (96, 128), 32
YUV, RGB = PictureSpec("yuv420p", True), PictureSpec("rgb24", False)

Make = Callable[..., Any]

SIZES = {
    "fraction": (128, 160),
    "whole-factor": (288, 384),
    "half": (192, 256),
    "as-it-is": (96, 128),
    "odd": (131, 173),
    "one-less": (97, 129),
    "portrait": (160, 120),
    "smaller-than-the-box": (61, 83),
    "half-of-the-box": (48, 64),
    "column": (200, 1),
    "row": (1, 31),
    "pixel": (1, 1),
    "tiny": (5, 7),
}


def scene(shape: tuple[int, int], dtype: npt.DTypeLike, seed: int = 0) -> ThermalPixels:
    """Smooth shapes, sharp edges and noise; 16 bit in a narrow part of the range."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((6, 8), dtype=np.float32)
    image = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    image[shape[0] // 3 :, shape[1] // 2 : shape[1] * 2 // 3] += 0.4
    image += rng.normal(0, 0.02, shape).astype(np.float32)
    low, span = (40, 90) if np.dtype(dtype) == np.uint8 else (21000, 1500)
    top = np.iinfo(dtype).max
    return np.clip(low + span * image, 0, top).astype(dtype)


def network(thermal: npt.NDArray[np.float32], seed: int = 0) -> npt.NDArray[np.float32]:
    """HxW to 3xHxW in [0,1]: partly the thermal image, partly something else."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((7, 9, 3), dtype=np.float32)
    colour = cv2.resize(coarse, thermal.shape[::-1], interpolation=cv2.INTER_LINEAR)
    weights = np.array([0.6, -0.4, 0.2], np.float32)[:, None, None]
    mixed = 0.6 * colour.transpose(2, 0, 1) + weights * thermal.astype(np.float32) + 0.1
    return np.ascontiguousarray(np.clip(mixed, 0, 1))


def plan(
    shape: tuple[int, int], dtype: npt.DTypeLike, fit: Letterbox, **changes: Any
) -> FrameKernels:
    settings: dict[str, Any] = {
        "spec": SPEC,
        "picture": YUV,
        "detail": True,
        "layout": "colour",
        "mark": False,
        **changes,
    }
    return FrameKernels(*shape, dtype, fit, **settings)


def assert_same_picture(
    actual: npt.NDArray[np.uint8], expected: npt.NDArray[np.uint8], different: float
) -> None:
    """Equal within one step everywhere, and equal in all but this share of the bytes.

    What is left is rounding: two floats on either side of a half, the fixed point of planes.
    """
    assert actual.shape == expected.shape
    error = np.abs(actual.astype(int) - expected)
    assert error.max() <= 1
    # In a picture of a few pixels one byte is a large share.
    assert np.count_nonzero(error) <= max(different * error.size, 6)


def assert_same_way(
    make: Make,
    pixels: ThermalPixels,
    picture: PictureSpec,
    box: tuple[int, int] = BOX,
    network_dtype: str = "float32",
    **options: Any,
) -> None:
    """One frame's whole way, both sides."""
    settings: dict[str, Any] = {"detail": True, "layout": "colour", "mark": False, **options}
    fit = fit_letterbox(*pixels.shape, box, MULTIPLE)
    kernels = plan(
        pixels.shape, pixels.dtype, fit, picture=picture, network_dtype=network_dtype, **settings
    )
    gpu = make(kernels)
    thermal = gpu.before(pixels, 0.0)

    small = shrink(pixels, fit)
    levels = LevelTracker(SPEC).update(small, 0.0)
    expected = apply_levels(small, levels, SPEC)
    # To a half's own 11 bits where those are less.
    own = 2.0**-11 if network_dtype == "float16" else 0.0
    assert thermal.dtype == network_dtype
    np.testing.assert_allclose(thermal, pad(expected, fit), rtol=own, atol=atol(pixels.dtype))

    rgb = network(pad(expected, fit)).astype(network_dtype)
    seen = np.ascontiguousarray(crop(rgb, fit), np.float32)
    item = Rendering(seen, expected, pixels, levels)
    assert_same_picture(
        gpu.after(rgb), render(item, SPEC, picture, **settings).data, share(kernels)
    )


def share(kernels: FrameKernels) -> float:
    """Of bytes that may be a step off: planes hold 1/64 of a step of luma, 1/256 of chroma."""
    names = [launch.kernel for launch in kernels.after(Buffers(*range(1, 9)))]
    return 6e-3 if any("planes" in name for name in names) else 2e-3


def atol(dtype: npt.DTypeLike) -> float:
    """Float rounding; in 16 bit also one count of the 1500 that `scene` spans.

    OpenCV's bilinear resize of 16 bit may use fused multiply-add, and then rounds otherwise.
    """
    return 1e-6 if np.dtype(dtype) == np.uint8 else 2e-3


@pytest.mark.parametrize("picture", [YUV, RGB], ids=["yuv420p", "rgb24"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", SIZES.values(), ids=SIZES.keys())
def test_every_size(
    host_kernels: Make, shape: tuple[int, int], dtype: type, picture: PictureSpec
) -> None:
    assert_same_way(host_kernels, scene(shape, dtype), picture)


@pytest.mark.parametrize("mark", [False, True], ids=["", "mark"])
@pytest.mark.parametrize("layout", ["colour", "side-by-side"])
@pytest.mark.parametrize("detail", [False, True], ids=["", "detail"])
@pytest.mark.parametrize("picture", [YUV, RGB], ids=["yuv420p", "rgb24"])
def test_every_option(
    host_kernels: Make, picture: PictureSpec, detail: bool, layout: Any, mark: bool
) -> None:
    pixels = scene((151, 203), np.uint8)
    assert_same_way(host_kernels, pixels, picture, detail=detail, layout=layout, mark=mark)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "rgb24"])
def test_label_that_reaches_into_the_thermal_half(
    host_kernels: Make, pixel_format: PixelFormat
) -> None:
    picture = PictureSpec(pixel_format, True)
    pixels = scene((120, 100), np.uint8)
    marked = plan(pixels.shape, np.uint8, fit_letterbox(120, 100, BOX, MULTIPLE), picture=picture)
    assert marked.scratch_start.size == 0
    assert_same_way(host_kernels, pixels, picture, layout="side-by-side", mark=True)


def test_even_rgb(host_kernels: Make) -> None:
    assert_same_way(host_kernels, scene((131, 173), np.uint16), PictureSpec("rgb24", True))


@pytest.mark.parametrize("value", [0, 7, 255])
def test_flat_frames(host_kernels: Make, value: int) -> None:
    assert_same_way(host_kernels, np.full((60, 80), value, np.uint8), YUV)


@pytest.mark.parametrize("top", [9, 65535])
def test_whole_and_narrow_ranges_of_16_bit(host_kernels: Make, top: int) -> None:
    pixels = np.random.default_rng(0).integers(0, top, (192, 256), np.uint16, endpoint=True)
    assert_same_way(host_kernels, pixels, YUV)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("smoothing_s", "fixed"), [(0.0, None), (1.0, None), (1.0, (40.0, 190.0)), (0.0, (0.0, 30.0))]
)
def test_levels_follow_a_sequence(
    host_kernels: Make, dtype: type, smoothing_s: float, fixed: tuple[float, float] | None
) -> None:
    """A drift, a cut, a long pause, time that goes backwards."""
    shape, fit = (60, 80), fit_letterbox(60, 80, BOX, MULTIPLE)
    gpu = host_kernels(plan(shape, dtype, fit, fixed_range=fixed), smoothing_s)
    tracker = LevelTracker(SPEC, smoothing_s, fixed)
    base = scene(shape, dtype).astype(np.int64)
    steps = [(0.0, 0), (0.04, 3), (0.08, 6), (0.12, 9), (0.16, 100), (0.2, 97), (9.0, 90)]
    steps += [(0.3, 80), (0.34, 90), (0.34, 70)]
    scale = 1 if dtype is np.uint8 else 40
    for time_s, shift in steps:
        pixels = np.clip(base + scale * shift, 0, np.iinfo(dtype).max).astype(dtype)
        small = shrink(pixels, fit)
        expected = apply_levels(small, tracker.update(small, time_s), SPEC)
        np.testing.assert_allclose(
            gpu.before(pixels, time_s), pad(expected, fit), rtol=0, atol=atol(dtype)
        )


@pytest.mark.parametrize("shift", [65, 75], ids=["overlap 0.34", "overlap 0.24"])
def test_cut_is_where_the_tracker_sees_one(host_kernels: Make, shift: int) -> None:
    ramp = np.tile(np.linspace(0, 100, 128), (96, 1)).astype(np.uint8)
    fit = fit_letterbox(96, 128, BOX, MULTIPLE)
    gpu, tracker = host_kernels(plan((96, 128), np.uint8, fit)), LevelTracker(SPEC)
    for time_s, pixels in ((0.0, ramp), (0.1, ramp + np.uint8(shift))):
        expected = apply_levels(pixels, tracker.update(pixels, time_s), SPEC)
        np.testing.assert_allclose(gpu.before(pixels, time_s), expected, rtol=0, atol=1e-6)


def test_histograms_are_clean_between_frames(host_kernels: Make) -> None:
    kernels = plan((60, 80), np.uint16, fit_letterbox(60, 80, BOX, MULTIPLE))
    gpu = host_kernels(kernels)
    gpu.before(scene((60, 80), np.uint16), 0.0)
    assert not gpu.state.bytes[24:].any() and gpu.state.bytes[:24].any()


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (YUV, {}),
        (YUV, {"detail": False, "mark": True}),
        (RGB, {"layout": "side-by-side"}),
        (RGB, {"detail": False}),
    ],
    ids=["detail", "mark", "side-by-side", "plain"],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", ["fraction", "odd", "portrait", "smaller-than-the-box", "pixel"])
def test_halves_at_the_network(
    host_kernels: Make, size: str, dtype: type, picture: PictureSpec, options: dict[str, Any]
) -> None:
    """The same picture where the engine takes and gives float16."""
    pixels = scene(SIZES[size], dtype)
    assert_same_way(host_kernels, pixels, picture, network_dtype="float16", **options)


@pytest.mark.parametrize("kind", ["8-bit", "16-bit"])
def test_real_frames(host_kernels: Make, shared_data: Path, kind: str) -> None:
    folder, dtype = {"8-bit": ("video8", np.uint8), "16-bit": ("still16", np.uint16)}[kind]
    pixels = real_frame(shared_data / folder, dtype)
    assert_same_way(host_kernels, pixels, YUV, box=(192, 256))


def real_frame(folder: Path, dtype: type) -> ThermalPixels:
    for path in sorted(folder.rglob("*")):
        image: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
        if image is None and path.suffix in (".mp4", ".avi", ".mkv"):
            image = cv2.VideoCapture(str(path)).read()[1]
        if image is not None and image.dtype == dtype:
            return np.ascontiguousarray(image if image.ndim == 2 else image[..., 0])
    pytest.skip(f"no {np.dtype(dtype)} frame under {folder.name}")


@pytest.mark.parametrize("picture", [YUV, RGB], ids=["yuv420p", "rgb24"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_order_of_threads_does_not_matter(
    host_gpu: Any, host_kernels: Make, dtype: type, picture: PictureSpec
) -> None:
    """What another order of blocks and threads changes is a race."""
    pixels = scene((131, 173), dtype)
    kernels = plan(
        pixels.shape,
        dtype,
        fit_letterbox(131, 173, BOX, MULTIPLE),
        picture=picture,
        layout="side-by-side",
        mark=True,
    )

    def way() -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
        gpu = host_kernels(kernels)
        thermal = gpu.before(pixels, 0.0)
        return thermal, gpu.after(network(thermal))

    forwards = way()
    with host_gpu.backwards():
        backwards = way()
    assert all(map(np.array_equal, forwards, backwards))
