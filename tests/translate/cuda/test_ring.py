"""The ring by itself: what it holds, and what every frame goes through."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.errors import BackendError
from ladle_rt.geometry import fit_letterbox
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.frame_clock import FrameClock
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.frame_memory import TRACKER_HEAD
from ladle_rt.translate.cuda.ring import Ring

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeEngine, FakeGpu

SHAPE = (20, 28)
CLOCK = FrameClock(0.5, False)


def ring(gpu: FakeGpu, slots: int = 3, **engine: Any) -> Ring:
    kernels = FrameKernels(
        *SHAPE,
        np.uint8,
        fit_letterbox(*SHAPE, (32, 32), 32),
        ThermalNormalization(),
        PictureSpec("yuv420p", True),
        True,
        "colour",
        False,
        steady=1.0,
    )
    state, steady = (gpu.allocate(size) for size in (kernels.state_bytes, kernels.steady_bytes))
    return Ring(gpu, FakeEngine(gpu, **engine), kernels, SHAPE, np.uint8, state, steady, slots)


def test_frames_in_flight() -> None:
    gpu = FakeGpu().open()
    made = ring(gpu, slots=2)
    assert (made.in_flight, made.full) == (0, False) and gpu.live["graph"]
    pixels = np.zeros(SHAPE, np.uint8)
    made.submit(pixels, CLOCK)
    made.submit(pixels, CLOCK)
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
        made.submit(np.full(SHAPE, number, np.uint8), CLOCK)
    for _ in range(3):
        made.collect()
    seen = gpu.done[start:]
    way = ("upload", "shrink_u8", "normalize_u8_f32", "motion_u8", "follow_motion_u8", "network")
    way += ("to_planes_f32", "planes_picture_yuv420p_u8", f"download {30 * 28}")
    levels = f"download {TRACKER_HEAD.size}"
    at = {step: [i for i, label in enumerate(seen) if label == step] for step in (*way, levels)}
    assert all(len(turns) == 3 for turns in at.values())
    for earlier, later in itertools.pairwise(way):
        assert all(a < b for a, b in zip(at[earlier], at[later], strict=True))
    # A frame's levels are taken after they followed it and before they follow the next.
    followed = at["shrink_u8"]
    for number, taken in enumerate(at[levels]):
        assert followed[number] < taken < [*followed, len(seen)][number + 1]


@pytest.mark.parametrize(
    ("early", "late"),
    [("upload", "network"), ("normalize_u8_f32", "network"), ("network", "to_planes_f32")],
)
def test_stages_overlap(early: str, late: str) -> None:
    """Some order lets a stage take the next frame before the stage after it takes this one."""
    overlapped = False
    for seed in range(20):
        gpu = FakeGpu(seed=seed).open()
        made = ring(gpu, slots=2)
        start = len(gpu.done)
        for number in range(2):
            made.submit(np.full(SHAPE, number, np.uint8), CLOCK)
        made.collect()
        seen = gpu.done[start:]
        overlapped |= seen[: seen.index(late)].count(early) == 2
    assert overlapped


def test_captured_is_only_what_has_run() -> None:
    """A driver may load a kernel at its first launch; nothing is allocated after the first."""
    gpu = FakeGpu().open()
    ring(gpu)
    first = gpu.calls.index("begin_capture")
    launched = [name for name in gpu.calls if name.startswith("launch ")]
    before = [name for name in gpu.calls[:first] if name.startswith("launch ")]
    assert set(before) == set(launched)
    assert not {"allocate", "allocate_pinned"} & set(gpu.calls[first:])


def test_the_first_run_leaves_the_levels_as_they_were(host_gpu: Any) -> None:
    gpu = FakeGpu(host_gpu.launch).open()
    ring(gpu)
    # Those of the caller were the first things that were allocated.
    levels, steady = list(gpu._memory.values())[:2]
    assert not levels.bytes.any() and not steady.bytes.any()


def test_every_graph_has_run_before_the_first_frame() -> None:
    """Whatever a driver leaves for a graph's first launch is not the first frames' to wait for."""
    gpu = FakeGpu().open()
    made = ring(gpu, slots=3)
    launched = gpu.calls.count("launch_graph")
    assert launched == 9 and not made.in_flight
    assert gpu.done.count("network") == 6, "piece by piece, then as graphs"


def test_pictures_are_drawn_into_the_hosts_memory_where_the_gpu_works_in_it(
    host_gpu: Any,
) -> None:
    gpu = FakeGpu(host_gpu.launch, integrated=True).open()
    made = ring(gpu, slots=2)
    other = FakeGpu(host_gpu.launch).open()
    copied = ring(other, slots=2)
    for ours in (made, copied):
        for number in range(2):
            ours.submit(np.full(SHAPE, 40 * number + 20, np.uint8), CLOCK)
    for _ in range(2):
        np.testing.assert_array_equal(made.collect()[0], copied.collect()[0])
    assert f"download {30 * 28}" in other.done and f"download {30 * 28}" not in gpu.done
    made.close()
    assert not gpu.live["pinned"] and not gpu.violations


@pytest.mark.parametrize("call", ["end_capture", "launch_graph"])
def test_without_memory_for_graphs_it_goes_on_and_gives_back_those_it_has(call: str) -> None:
    gpu = FakeGpu(fail_at=(call, 4), status="CUDA_ERROR_OUT_OF_MEMORY (2)").open()
    made = ring(gpu)
    assert not gpu.live["graph"]
    assert "smaller --size" in str(made.capture_error)
    made.submit(np.zeros(SHAPE, np.uint8), CLOCK)
    made.collect()
    made.close()
    assert not gpu.violations and gpu.calls.count("destroy_graph") >= 4


def test_close_waits_for_what_is_in_flight_and_gives_all_back_but_the_state() -> None:
    gpu = FakeGpu().open()
    made = ring(gpu)
    made.submit(np.zeros(SHAPE, np.uint8), CLOCK)
    made.close()
    made.close()
    assert f"download {30 * 28}" in gpu.done and not gpu.violations
    # The engine's scratch and both states are others'.
    assert {kind: len(left) for kind, left in gpu.live.items() if left} == {"device": 3}


def test_first_of_several_errors_is_told() -> None:
    given: list[int] = []

    def give_back(number: int) -> None:
        given.append(number)
        if number != 1:
            raise BackendError(f"{number} failed")

    stack = ResourceStack()
    for number in range(3):
        stack.callback(give_back, number)
    with pytest.raises(BackendError, match="2 failed"):
        stack.close()
    stack.close()
    assert given == [2, 1, 0]
