"""The translator's picture, end to end, against the same thing written out in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ladle_rt.config import TranslateOptions
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.thermal.normalization import normalize
from ladle_rt.translate import PictureSpec, create_translator

RGB = PictureSpec("rgb24", False)


@pytest.fixture
def two_opencv_threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


def network(thermal: np.ndarray, pad_width: int) -> np.ndarray:
    """The tiny model of ``tests/conftest.py`` in NumPy: HxW to HxWx3."""
    width = thermal.shape[1]
    outside = np.pad(np.pad(thermal, ((0, 0), (0, pad_width)), "reflect"), 1)
    windows = np.lib.stride_tricks.sliding_window_view(outside, (3, 3))[:, :width]
    box = windows.mean(axis=(2, 3))[..., None]
    return 1 / (1 + np.exp(-(box * [4, 2, -4] + [-2, -1, 2])))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("shape", "scale", "pad_width"),
    [((64, 96), 1, 0), ((96, 64), 1, 0), ((64, 80), 1, 16), ((256, 384), 4, 0)],
    ids=["as-trained", "portrait", "padded", "large"],
)
def test_pictures_are_what_the_network_says(
    tiny_model: Path,
    backend: Any,
    dtype: type,
    shape: tuple[int, int],
    scale: int,
    pad_width: int,
) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    artifact = load_artifact(tiny_model)
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, top // 2, shape).astype(dtype)
    # Not the same upside down or mirrored.
    pixels[: shape[0] // 2, : shape[1] // 3] += top // 3
    options = TranslateOptions(backend=backend, threads=1, detail="none")
    with create_translator(artifact, options, RGB) as translator:
        translator.submit(Frame(pixels, 0, 0))
        picture = translator.collect(30).picture.data
    size = (shape[1] // scale, shape[0] // scale)
    # Levels are those of the network-size image, where averaging has narrowed the noise.
    scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    expected = 255 * network(normalize(scaled, artifact.info.thermal), pad_width)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    error = np.abs(small - expected)
    if scale == 1:
        assert error.max() <= 0.51
    else:
        # Up by cubic and down by area is not the identity; levels of the full size give 9.
        assert error.mean() <= 3


@pytest.mark.parametrize(("later_s", "follows"), [(0.033, False), (30.0, True)])
def test_levels_follow_the_frames_own_time(tiny_model: Path, later_s: float, follows: bool) -> None:
    ramp = np.tile(np.arange(96, dtype=np.uint8), (64, 1))
    options = TranslateOptions(backend="onnxruntime", threads=1)
    with create_translator(load_artifact(tiny_model), options, RGB) as translator:
        translator.submit(Frame(ramp, 0, 0))
        translator.submit(Frame(ramp + 40, 1, round(later_s * 1e9)))
        first, second = (translator.collect(30).picture.data.astype(int) for _ in range(2))
    assert (np.abs(second - first).max() <= 1) == follows


@pytest.mark.usefixtures("two_opencv_threads")
def test_opencv_has_no_threads_beside_the_workers(tiny_model: Path) -> None:
    with create_translator(
        load_artifact(tiny_model), TranslateOptions(backend="onnxruntime", threads=1), RGB
    ):
        assert cv2.getNumThreads() == 1
