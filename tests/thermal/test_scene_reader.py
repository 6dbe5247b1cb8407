"""Scenes out of what cameras deliver: cut, masked, as counts."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from ladle_rt.errors import ConfigError, InputError
from ladle_rt.thermal.scene_reader import ReadOptions, SceneReader


def scene(height: int = 256, width: int = 320) -> np.ndarray:
    down, across = np.mgrid[:height, :width]
    return (22_000 + 300 * np.sin(down / 40) + 200 * np.cos(across / 30)).astype(np.uint16)


def read(pixels: np.ndarray, **options: object) -> np.ndarray:
    return SceneReader(ReadOptions(**options), "in.png").read(pixels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "rows"),
    [((256, 320), 2), ((512, 640), 2), ((288, 384), 4), ((192, 256), 4), ((120, 160), 2),
     ((60, 80), 3)],
)  # fmt: skip
@pytest.mark.parametrize("content", ["zeros", "numbers"])
@pytest.mark.parametrize("above", [False, True])
def test_telemetry_rows_are_cut_and_said(
    size: tuple[int, int], rows: int, content: str, above: bool, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = np.zeros((rows, size[1]), np.uint16)
    if content == "numbers":
        telemetry[:] = np.random.default_rng(3).integers(0, 65_536, telemetry.shape)
    parts = (telemetry, scene(*size)) if above else (scene(*size), telemetry)
    with caplog.at_level(logging.INFO, "ladle_rt.input"):
        assert np.array_equal(read(np.vstack(parts)), scene(*size))
    assert f"in.png: {rows} rows are telemetry" in caplog.text


def test_a_picture_of_such_a_shape_without_telemetry_stays_whole() -> None:
    assert read(scene(258, 320)).shape == (258, 320)


def test_the_readable_half_of_stacked_frames() -> None:
    counts = (18_000 + (scene(192, 256) - 22_000 + 600) * 2).astype(np.uint16)
    picture = ((scene(192, 256) - 21_500) // 4).astype(np.uint16)
    words = np.vstack([picture | 0x8000, counts])
    assert np.array_equal(read(words), counts)
    low_bytes = np.vstack([picture.astype(np.uint8), (counts & 255).astype(np.uint8)])
    assert np.array_equal(read(low_bytes), picture)
    portrait = ((scene(384, 256) - 21_500) // 4).astype(np.uint8)
    assert np.array_equal(read(portrait), portrait)


def test_signed_counts_and_degrees_keep_their_order() -> None:
    tenths = (scene().astype(np.int32) - 22_100).astype(np.int16)
    assert np.array_equal(read(tenths).astype(int) - 32_768, tenths)
    for dtype in (np.float32, np.float64, np.int32, np.uint32):
        counts = read((scene() / 1).astype(dtype))
        assert counts.dtype == np.uint16
        assert np.abs(np.corrcoef(counts.ravel(), scene().ravel())[0, 1] - 1) < 1e-6


def test_floats_of_a_sequence_share_their_counts() -> None:
    reader = SceneReader(ReadOptions(), "x")
    first = reader.read(scene().astype(np.float32))
    second = reader.read(scene()[::-1].astype(np.float32))
    assert np.array_equal(first[::-1], second)


def test_crop_and_its_limits() -> None:
    assert np.array_equal(read(scene(), crop=(10, 20, 30, 40)), scene()[20:60, 10:40])
    with pytest.raises(InputError, match=r"crop within 320x256, received 300,0,30,40"):
        read(scene(), crop=(300, 0, 30, 40))
    with pytest.raises(ConfigError, match="crop must be X,Y,W,H"):
        ReadOptions(crop=(0, 0, 0, 4))
    live = SceneReader(ReadOptions(crop=(0, 0, 300, 200)), "cam", live=True)
    assert live.size(320, 258) == (300, 200)
    assert SceneReader(ReadOptions(), "cam", live=True).size(320, 258) == (320, 256)


def test_a_mask_keeps_text_out_of_the_levels() -> None:
    pixels = scene()
    pixels[:20, :90] = 40_000
    mask = np.zeros(pixels.shape, bool)
    mask[:20, :90] = True
    filled = SceneReader(ReadOptions(), "x", mask).read(pixels)
    assert filled.max() <= scene().max() and np.array_equal(filled[20:], pixels[20:])
    with pytest.raises(InputError, match="mask as large as the scene, 320x256, received 4x4"):
        SceneReader(ReadOptions(), "x", np.zeros((4, 4), bool)).read(pixels)


@pytest.mark.parametrize(
    "wrong", [{"track": "infra"}, {"track": -1}, {"raw_size": (0, 5)}, {"crop": (-1, 0, 4, 4)}]
)
def test_options_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ReadOptions(**wrong)  # type: ignore[arg-type]
