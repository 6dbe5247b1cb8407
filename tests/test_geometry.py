"""Any frame goes into the box, onto the size multiple, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladle_rt.config import Quality
from ladle_rt.geometry import crop, fit_letterbox, network_box, pad, shrink

SIDES = st.integers(1, 9000)


@settings(max_examples=200, deadline=None)
@given(height=SIDES, width=SIDES)
def test_fit_stays_in_the_box_and_pads_to_the_multiple(height: int, width: int) -> None:
    fit = fit_letterbox(height, width, (192, 256), 32)
    box = (192, 256) if height <= width else (256, 192)
    assert 1 <= fit.height <= box[0] and 1 <= fit.width <= box[1]
    assert fit.height == box[0] or fit.width == box[1]
    assert (fit.height + fit.pad_height) % 32 == 0 and (fit.width + fit.pad_width) % 32 == 0
    assert 0 <= fit.pad_height < 32 and 0 <= fit.pad_width < 32


@pytest.mark.parametrize("shape", [(512, 640), (640, 512), (120, 160), (1, 1), (1, 5000), (33, 31)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shrink_pad_crop(shape: tuple[int, int], dtype: type) -> None:
    fit = fit_letterbox(*shape, (192, 256), 32)
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    small = shrink(pixels, fit)
    assert small.dtype == dtype and small.shape == (fit.height, fit.width)
    padded = pad(small.astype(np.float32), fit)
    assert padded.shape[0] % 32 == padded.shape[1] % 32 == 0
    assert np.array_equal(crop(padded, fit), small)


def test_aspect_ratio_is_kept() -> None:
    fit = fit_letterbox(512, 640, (192, 256), 32)
    assert (fit.height, fit.width, fit.pad_height, fit.pad_width) == (192, 240, 0, 16)
    turned = fit_letterbox(640, 512, (192, 256), 32)
    assert (turned.height, turned.width) == (240, 192)


def test_frames_of_the_training_size_are_left_alone() -> None:
    fit = fit_letterbox(192, 256, (192, 256), 32)
    pixels = np.random.default_rng(0).integers(0, 256, (192, 256), dtype=np.uint8)
    assert np.array_equal(pad(shrink(pixels, fit), fit), pixels)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    box=st.tuples(st.integers(32, 64), st.integers(32, 64)),
    multiple=st.sampled_from([1, 8, 32]),
)
def test_padding_is_numpys(height: int, width: int, box: tuple[int, int], multiple: int) -> None:
    """Any box and multiple, also boxes that are not divisible by it."""
    fit = fit_letterbox(height, width, box, multiple)
    small = np.arange(fit.height * fit.width, dtype=np.float32).reshape(fit.height, fit.width)
    padded = pad(small, fit)
    room = fit.pad_height < fit.height and fit.pad_width < fit.width
    widths = ((0, fit.pad_height), (0, fit.pad_width))
    assert np.array_equal(padded, np.pad(small, widths, "reflect" if room else "edge"))
    assert np.array_equal(crop(np.stack([padded] * 3), fit), np.stack([small] * 3))
    assert np.shares_memory(crop(padded, fit), padded)


def test_a_large_frame_is_averaged() -> None:
    fit = fit_letterbox(8000, 6000, (192, 256), 32)
    assert (fit.height, fit.width) == (256, 192)
    columns = np.random.default_rng(1).integers(6000, 9000, 6000).astype(np.uint16)
    small = shrink(np.tile(columns, (8000, 1)), fit)
    # 6000 columns on 192 are 31.25 each: column 4 of every four starts on a whole one.
    expected = columns.reshape(48, 125).mean(axis=1)
    assert np.abs(small.reshape(256, 48, 4).mean(axis=2) - expected).max() <= 1


@pytest.mark.parametrize(
    ("frame", "quality", "box"),
    [
        ((512, 640), "fast", (192, 256)),
        ((512, 640), "balanced", (288, 384)),
        ((512, 640), "best", (512, 640)),
        ((640, 512), "best", (512, 640)),
        ((480, 640), "best", (480, 640)),
        ((720, 1280), "best", (512, 640)),
        # No more than covers the frame, and no less than it was trained with.
        ((240, 320), "best", (256, 320)),
        ((240, 320), "balanced", (256, 320)),
        ((288, 384), "best", (288, 384)),
        ((120, 160), "best", (192, 256)),
        ((1, 1), "balanced", (192, 256)),
        ((100, 1000), "best", (192, 640)),
    ],
)
def test_a_quality_chooses_the_box(
    frame: tuple[int, int], quality: Quality, box: tuple[int, int]
) -> None:
    assert network_box(frame, (192, 256), 32, quality) == box


def test_boxes_keep_the_multiple_and_a_large_training_size() -> None:
    assert network_box((512, 640), (192, 256), 64, "balanced") == (320, 384)
    assert network_box((512, 640), (384, 512), 32, "balanced") == (384, 512)
    assert network_box((1024, 1280), (640, 800), 32, "best") == (640, 800)


@pytest.mark.parametrize("frame", [(512, 640), (480, 640), (720, 1280), (240, 320), (640, 480)])
@pytest.mark.parametrize("quality", ["balanced", "best"])
def test_a_frame_is_never_enlarged_beyond_the_training_size(
    frame: tuple[int, int], quality: Quality
) -> None:
    fit = fit_letterbox(*frame, network_box(frame, (192, 256), 32, quality), 32)
    assert fit.height <= frame[0] and fit.width <= frame[1]
    assert fit.padded == (fit.height + fit.pad_height, fit.width + fit.pad_width)
