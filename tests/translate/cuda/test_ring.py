"""The ring by itself: what it holds, and what every frame goes through."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.errors import BackendError
from ladle_rt.geometry import fit_box
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.owned import Owned
from ladle_rt.translate.cuda.ring import Ring

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeEngine, FakeGpu

SHAPE = (20, 28)


def ring(gpu: FakeGpu, slots: int = 3, **engine: Any) -> Ring:
    kernels = FrameKernels(
        *SHAPE,
        np.uint8,
        fit_box(*SHAPE, (32, 32), 32),
        ThermalNormalization(),
        PictureSpec("yuv420p", True),
        True,
        "colour",
        False,
    )
    state = gpu.allocate(kernels.state_bytes)
    return Ring(gpu, FakeEngine(gpu, **engine), kernels, SHAPE, np.uint8, state, slots)


def test_frames_in_flight() -> None:
    gpu = FakeGpu().open()
    made = ring(gpu, slots=2)
    assert (made.in_flight, made.full, made.uses_graphs) == (0, False, True)
    pixels = np.zeros(SHAPE, np.uint8)
    made.submit(pixels, 0.0)
    made.submit(pixels, 0.1)
    assert made.in_flight == 2 and made.full
    assert made.collect()[0].shape == (30, 28)
    assert made.in_flight == 1 and not made.full


@pytest.mark.parametrize("seed", range(20))
def test_a_frame_goes_its_way_in_order(seed: int) -> None:
    """Whatever streams run first, per frame: upload, shrink, ..., picture, download."""
    gpu = FakeGpu(seed=seed).open()
    made = ring(gpu, slots=3)
    start = len(gpu.done)
    for number in range(3):
        made.submit(np.full(SHAPE, number, np.uint8), number / 10)
    for _ in range(3):
        made.collect()
    seen = gpu.done[start:]
    way = ("upload", "shrink_u8", "follow_levels_u8", "normalize_u8_f32", "network")
    way += ("to_planes_f32", "picture_yuv420p_u8")
    order = [[at for at, label in enumerate(seen) if label == step] for step in way]
    assert all(len(steps) == 3 for steps in order)
    for earlier, later in itertools.pairwise(order):
        assert all(a < b for a, b in zip(earlier, later, strict=True))
    # The picture and the levels of each, and nothing of a frame before it is computed.
    downloads = [at for at, label in enumerate(seen) if label == "download"]
    assert len(downloads) == 6
    for number, computed in enumerate(order[-1]):
        assert sum(at < computed for at in downloads) <= 2 * number


def test_streams_overlap() -> None:
    """Some order lets the next frame be uploaded before this one is computed."""
    overlapped = False
    for seed in range(20):
        gpu = FakeGpu(seed=seed).open()
        made = ring(gpu, slots=2)
        start = len(gpu.done)
        for number in range(2):
            made.submit(np.full(SHAPE, number, np.uint8), number / 10)
        made.collect()
        seen = gpu.done[start:]
        overlapped |= seen[: seen.index("network")].count("upload") == 2
    assert overlapped


def test_close_waits_for_what_is_in_flight_and_gives_all_back_but_the_state() -> None:
    gpu = FakeGpu().open()
    made = ring(gpu)
    made.submit(np.zeros(SHAPE, np.uint8), 0.0)
    made.close()
    made.close()
    assert "download" in gpu.done and not gpu.violations
    # The engine's scratch and the state are others'.
    assert {kind: len(left) for kind, left in gpu.live.items() if left} == {"device": 2}


def test_first_of_several_errors_is_told() -> None:
    given: list[int] = []

    def give_back(number: int) -> None:
        given.append(number)
        if number != 1:
            raise BackendError(f"{number} failed")

    owned = Owned()
    for number in range(3):
        owned.add(give_back, number)
    with pytest.raises(BackendError, match="2 failed"):
        owned.give_back()
    owned.give_back()
    assert given == [2, 1, 0]
