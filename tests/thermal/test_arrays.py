"""Floats over counts: one picture by itself, and a stream by one line."""

from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.thermal.arrays import LARGEST_COUNT, FloatRange, check_plane, to_counts

CELSIUS = np.float32([[-20, 0], [10, 60]])


def test_integers_stay_as_they_are() -> None:
    for dtype in (np.uint8, np.uint16):
        pixels = np.arange(6, dtype=dtype).reshape(2, 3)
        for counts in (to_counts(pixels), FloatRange().counts(pixels)):
            assert np.shares_memory(counts, pixels) and counts.dtype == dtype
            assert counts.tolist() == pixels.tolist()
    swapped = np.arange(300, 306, dtype=">u2").reshape(2, 3)
    assert to_counts(swapped).dtype == np.uint16 and to_counts(swapped).dtype.isnative
    assert to_counts(swapped).tolist() == swapped.tolist()
    assert to_counts(np.arange(6, dtype=np.uint8).reshape(2, 3).T).flags.c_contiguous


def test_floats_by_their_own_extremes() -> None:
    assert to_counts(CELSIUS).tolist() == [[0, 16384], [24576, LARGEST_COUNT]]
    assert to_counts(np.full((2, 2), 36.6)).tolist() == [[0, 0], [0, 0]]
    largest = np.finfo(np.float32).max
    assert to_counts(np.float32([[-largest, largest]])).tolist() == [[0, LARGEST_COUNT]]


def test_a_range_clips_values_of_any_dtype() -> None:
    assert to_counts(CELSIUS, (0, 10)).tolist() == [[0, 0], [LARGEST_COUNT, LARGEST_COUNT]]
    assert to_counts(np.uint8([[5, 10, 20]]), (0, 20)).tolist() == [[16384, 32768, 65535]]


def test_equal_values_stay_equal_counts_in_a_stream() -> None:
    stream = FloatRange()
    first = stream.counts(CELSIUS)
    # A third of the counts for the first picture, as much on either side of it.
    assert first.min() == LARGEST_COUNT // 3 and first.max() == LARGEST_COUNT * 2 // 3
    assert stream.counts(CELSIUS + 50)[1, 0] == first[1, 1]
    assert np.array_equal(stream.counts(CELSIUS), first)
    far = stream.counts(CELSIUS + 500)
    assert far.max() < LARGEST_COUNT and far.min() > stream.counts(CELSIUS).max()


def test_a_view_is_checked_not_copied() -> None:
    pixels = np.zeros((4, 6, 1), np.uint8)
    assert np.shares_memory(check_plane(pixels, "it"), pixels)
    with pytest.raises(ValueError, match="it: expected HxW or HxWx1, received 2x4x6x1"):
        check_plane(pixels[None].repeat(2, 0), "it")
