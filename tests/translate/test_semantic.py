"""Class colours over the thermal picture, and the models and backends that have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.config import Backend, TranslateOptions
from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.semantic import PALETTE, class_colours

RGB, YUV = PictureSpec("rgb24", False), PictureSpec("yuv420p", True)
COLOURS = list(PALETTE.values())


@pytest.fixture(scope="module")
def with_classes(tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Path]) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "classes.onnx", classes=7)


def picture(model: Path, backend: Backend, spec: PictureSpec = RGB, **options: Any) -> np.ndarray:
    """Of a frame that is cold at the left and hot at the right."""
    if backend == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    pixels = np.zeros((64, 96), np.uint8)
    pixels[:, 48:] = 200
    # Levels are the frame's ends: black, and white.
    settings = TranslateOptions(backend=backend, threads=1, fixed_range=(0, 200), **options)
    with create_translator(load_artifact(model), settings, spec) as translator:
        translator.submit(Frame(pixels, 0, 0))
        return translator.collect(30).picture.data


def test_each_pixel_gets_the_colour_of_its_likeliest_group() -> None:
    scores = np.zeros((7, 2, 3), np.float32)
    scores[5, 0, 1] = scores[3, 1, 2] = 0.1
    colours = class_colours(scores)
    assert colours.shape == (3, 2, 3) and colours.dtype == np.float32
    assert colours.flags.c_contiguous
    shown = (colours.transpose(1, 2, 0) * 255).round().astype(int)
    assert tuple(shown[0, 1]) == PALETTE["person"] and tuple(shown[1, 2]) == PALETTE["sky"]
    assert tuple(shown[0, 0]) == PALETTE["ground"]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_colours_are_half_over_the_thermal_picture(with_classes: Path, backend: Backend) -> None:
    shown = picture(with_classes, backend, layout="semantic").astype(float)
    assert np.abs(shown[:, :40] - np.divide(COLOURS[0], 2)).max() <= 2
    assert np.abs(shown[:, 56:] - (np.divide(COLOURS[-1], 2) + 127.5)).max() <= 2


def test_video_gets_the_same_colours(with_classes: Path) -> None:
    planes = picture(with_classes, "onnxruntime", YUV, layout="semantic")
    red, green, blue = COLOURS[-1]
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert abs(int(planes[32, 80]) - (16 + 219 * (luma / 255 + 1) / 2)) <= 1


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_classes_change_nothing_of_the_picture(
    with_classes: Path, tiny_model: Path, backend: Backend
) -> None:
    assert np.array_equal(picture(with_classes, backend), picture(tiny_model, backend))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_model_without_classes_is_refused(tiny_model: Path, backend: Backend) -> None:
    with pytest.raises(ModelError, match="expected a model with classes, this one has none"):
        picture(tiny_model, backend, layout="semantic")


@pytest.mark.parametrize("backend", ["torch", "tensorrt", "torch-tensorrt"])
def test_other_backends_are_refused(backend: Backend) -> None:
    with pytest.raises(ConfigError, match=f"onnxruntime or openvino or triton, received {backend}"):
        TranslateOptions(backend=backend, layout="semantic")


def test_auto_is_the_cpu(with_classes: Path) -> None:
    options = TranslateOptions(layout="semantic", threads=1)
    with create_translator(load_artifact(with_classes), options, RGB) as made:
        assert made.name == "onnxruntime (1 workers)"
