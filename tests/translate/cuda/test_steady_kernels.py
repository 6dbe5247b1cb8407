"""Flicker suppression by the kernels, run on the host, against `Blender`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ladle_rt.frames import Frame, Picture
from ladle_rt.geometry import fit_letterbox, shrink
from ladle_rt.thermal.normalization import LevelTracker, ThermalNormalization
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.steady import Blender

SPEC = ThermalNormalization()
YUV, RGB = PictureSpec("yuv420p", True), PictureSpec("rgb24", False)
STEP_S = 1 / 30

Make = Callable[..., Any]


def scene(shape: tuple[int, int], number: int, dtype: type) -> Any:
    """A gradient with the sensor's noise, and a bar that moves from the tenth frame on."""
    rng = np.random.default_rng(number)
    image = np.tile(np.linspace(40, 180, shape[1]), (shape[0], 1)) + rng.normal(0, 1.0, shape)
    left = max(number - 9, 0) * 3
    image[shape[0] // 3 : shape[0] // 2, left : left + shape[1] // 6] = 230
    return image.astype(dtype) if dtype is np.uint8 else (image * 30 + 5000).astype(dtype)


def network(fit_shape: tuple[int, int], number: int) -> Any:
    """Colours that change their mind with every frame."""
    return np.random.default_rng(900 + number).uniform(0.2, 0.8, (3, *fit_shape)).astype(np.float32)


def way(
    make: Make, shape: tuple[int, int], dtype: type, steps: list[tuple[float, int]], **options: Any
) -> tuple[list[Any], list[Any]]:
    """Pictures of a sequence, by the kernels and by `Blender` on the pictures of plain kernels."""
    settings: dict[str, Any] = {
        "picture": YUV,
        "detail": False,
        "layout": "colour",
        "mark": False,
        **options,
    }
    strength = settings.pop("steady", 1.0)
    fit = fit_letterbox(*shape, (64, 96), 32)
    steady, plain = (
        make(FrameKernels(*shape, dtype, fit, SPEC, **settings, steady=value))
        for value in (strength, 0.0)
    )
    blender = Blender(strength, SPEC, settings["layout"])
    tracker = LevelTracker(SPEC)
    ours, theirs = [], []
    for time_s, number in steps:
        pixels = scene(shape, number, dtype)
        colours = network(fit.padded, number)
        for kernels in (steady, plain):
            np.testing.assert_array_equal(kernels.before(pixels, time_s) >= 0, True)
        ours.append(steady.after(colours).copy())
        unblended = plain.after(colours)
        picture = Picture(settings["picture"].pixel_format, unblended, unblended.shape[1], shape[0])
        if settings["picture"] is YUV:
            picture = Picture("yuv420p", unblended, unblended.shape[1], shape[0] & ~1)
        frame = Frame(pixels, number, round(time_s * 1e9))
        levels = tracker.update(shrink(pixels, fit), time_s)
        theirs.append(blender.blend(frame, picture, levels).data)
    return ours, theirs


def assert_alike(ours: list[Any], theirs: list[Any]) -> None:
    """Within one step everywhere, and equal but for roundings at a half."""
    for one, other in zip(ours, theirs, strict=True):
        error = np.abs(one.astype(int) - other)
        assert error.max() <= 1
        assert np.count_nonzero(error) <= max(2e-3 * error.size, 1)


def sequence(count: int) -> list[tuple[float, int]]:
    return [(number * STEP_S, number) for number in range(count)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("picture", [YUV, RGB], ids=["yuv420p", "rgb24"])
def test_a_still_scene_and_one_that_moves(
    host_kernels: Make, dtype: type, picture: PictureSpec
) -> None:
    ours, theirs = way(host_kernels, (100, 140), dtype, sequence(14), picture=picture)
    assert_alike(ours, theirs)
    # It does something: the network's colours change by far more.
    assert np.abs(ours[8].astype(int) - ours[7]).mean() < 8


@pytest.mark.parametrize("shape", [(131, 173), (30, 41), (7, 5), (3, 3)], ids=str)
@pytest.mark.parametrize("picture", [YUV, RGB], ids=["yuv420p", "rgb24"])
def test_sizes(host_kernels: Make, shape: tuple[int, int], picture: PictureSpec) -> None:
    assert_alike(*way(host_kernels, shape, np.uint8, sequence(4), picture=picture, steady=0.6))


def test_options(host_kernels: Make) -> None:
    options: dict[str, Any] = {"layout": "side-by-side", "detail": True, "mark": True}
    assert_alike(*way(host_kernels, (100, 140), np.uint8, sequence(4), **options))


def test_halves_at_the_network(host_kernels: Make) -> None:
    frames = sequence(4)
    assert_alike(*way(host_kernels, (100, 140), np.uint8, frames, network_dtype="float16"))


def test_restarts(host_kernels: Make) -> None:
    """A gap, time that goes backwards, another scene: shown as it is, and followed from there."""
    steps = [(0.0, 0), (0.03, 1), (0.06, 2), (0.7, 3), (0.73, 4), (0.5, 5), (0.53, 6)]
    assert_alike(*way(host_kernels, (100, 140), np.uint8, steps))


def test_another_scene(host_kernels: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = scene

    def cut(shape: tuple[int, int], number: int, dtype: type) -> Any:
        return 255 - plain(shape, number, dtype) if number >= 3 else plain(shape, number, dtype)

    monkeypatch.setitem(globals(), "scene", cut)
    ours, theirs = way(host_kernels, (100, 140), np.uint8, sequence(6))
    assert_alike(ours, theirs)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_order_of_threads_does_not_matter(host_gpu: Any, host_kernels: Make, dtype: type) -> None:
    forwards, _ = way(host_kernels, (60, 83), dtype, sequence(4))
    with host_gpu.backwards():
        backwards, _ = way(host_kernels, (60, 83), dtype, sequence(4))
    assert all(map(np.array_equal, forwards, backwards))
