"""Temporal measures on made-up motion, where the right answer is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.evaluation.tables import video_table
from ladle_rt.evaluation.temporal_metrics import (
    Motion,
    TemporalMeter,
    TemporalScores,
    VideoReport,
    estimate_motion,
    warp,
)

Array = npt.NDArray[np.float32]
SIZE = (192, 256)


def texture(seed: int, size: tuple[int, int] = SIZE, coarse: int = 8) -> Array:
    rng = np.random.default_rng(seed)
    small = rng.random((size[0] // coarse, size[1] // coarse), dtype=np.float32)
    return np.clip(cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


@pytest.fixture(scope="module")
def panned() -> tuple[Array, Array]:
    """Two views of one texture, the camera 5 pixels further right and 2 down."""
    wide = texture(0, (216, 288))
    return wide[8:200, 8:264].copy(), wide[10:202, 13:269].copy()


@pytest.fixture(scope="module")
def motion(panned: tuple[Array, Array]) -> Motion:
    return estimate_motion(*panned)


def colour(plane: Array) -> Array:
    return np.stack([plane, 1 - plane, plane * plane], axis=2)


def test_flow_points_to_where_a_pixel_was(motion: Motion) -> None:
    grid = np.stack(np.meshgrid(np.arange(256), np.arange(192)), axis=-1)
    flow = (motion.source - grid)[20:-20, 20:-20]
    assert np.median(flow, axis=(0, 1)) == pytest.approx([5, 2], abs=0.1)
    assert motion.seen[20:-20, 20:-20].mean() > 0.98
    assert not motion.seen[:, -4:].any() and not motion.seen[-1:].any(), "it was outside"
    assert motion.static.mean() < 0.05


def test_what_follows_the_motion_has_no_warping_error(
    panned: tuple[Array, Array], motion: Motion
) -> None:
    before, now = panned
    meter, still = TemporalMeter(), TemporalMeter()
    meter.add(colour(before), colour(before), None)
    meter.add(colour(now), colour(now), motion)
    # A picture that does not move along is the error.
    still.add(colour(before), colour(before), None)
    still.add(colour(before), colour(now), motion)
    followed, stuck = meter.scores(), still.scores()
    assert followed.warping_l1 < 1 and stuck.warping_l1 > 20
    assert followed.warping_mse < 1e-4 < stuck.warping_mse
    moved = warp(colour(before), motion)[motion.seen]
    error = np.abs(colour(now)[motion.seen] - moved)
    assert followed.warping_l1 == pytest.approx(error.mean() * 255, rel=1e-5)


def test_the_hidden_is_left_out() -> None:
    """A square moves over a texture: what it uncovers was not there before."""
    ground, square = texture(1), texture(2, (64, 64), 4) * 0.5 + 0.5
    frames = []
    for left in (80, 90):
        frame = ground * np.float32(0.4)
        frame[64:128, left : left + 64] = square
        frames.append(frame)
    motion = estimate_motion(*frames)
    uncovered = motion.seen[68:124, 81:88]
    assert uncovered.mean() < 0.4 and motion.seen[:50].mean() > 0.97
    assert not motion.static[64:128, 80:150].any() and motion.static[:50].all()


def test_flicker_is_the_change_where_the_input_rests() -> None:
    ground = texture(1)
    now = ground.copy()
    now[100:140, 100:140] = texture(2, (40, 40), 4)
    motion = estimate_motion(ground, now)
    assert not motion.static[100:140, 100:140].any() and motion.static.mean() > 0.8
    meter, image = TemporalMeter(), colour(ground * np.float32(0.5))
    flashing = image + np.float32(4 / 255)
    flashing[100:140, 100:140] += 0.3  # where something moves anything may change
    meter.add(image, image, None)
    meter.add(flashing, image, motion)
    assert meter.scores().flicker == pytest.approx(4, rel=1e-4)
    nothing = TemporalMeter()
    for state in (None, motion, motion):
        nothing.add(image, image, state)
    scores = nothing.scores()
    assert scores.flicker == 0 and scores.warping_l1 < 0.5
    assert (scores.ssim, scores.psnr_db) == (pytest.approx(1), np.inf)
    assert scores.to_dict()["psnr_db"] is None


def test_a_first_frame_and_a_gap_have_nothing_before_them() -> None:
    meter, image = TemporalMeter(), colour(texture(1))
    meter.add(image, image, None)
    meter.add(1 - image, image, None)
    scores = meter.scores()
    assert np.isnan(scores.warping_l1) and np.isnan(scores.flicker) and scores.ssim < 1
    assert scores.to_dict()["flicker"] is None


def test_warping_error_of_the_truth_is_the_measure() -> None:
    steady = TemporalScores(2.0, 1e-4, 1.0, 0.5, 15.0)
    truth = TemporalScores(1.6, 1e-4, 1.0, 1.0, float("inf"))
    rows = {("m", "smoothed"): steady, ("truth", ""): truth}
    report = VideoReport("clip", 9, 0, 0.9, 0.5, rows, None)
    assert report.warping_ratio("m", "smoothed") == 1.25
    assert [row["warping_ratio"] for row in report.to_dict()["rows"]] == [1.25, 1.0]
    shown = video_table([report])
    columns = {str(column.header): list(column.cells) for column in shown.columns}
    assert columns["of the\ntruth's"] == ["1.25", "1.00"]
    still = {**rows, ("truth", ""): TemporalScores(0.0, 0.0, 0.0, 1.0, float("inf"))}
    report = VideoReport("still", 9, 0, 0.9, 0.5, still, None)
    assert report.to_dict()["rows"][0]["warping_ratio"] is None, "a generated clip has no noise"
    assert list(video_table([report]).columns[5].cells) == ["", ""]


def test_steadiness_needs_neither_torch_nor_scikit_image() -> None:
    names = ("evaluate_video", "tables", "eval_model", "pair_selection", "parity")
    code = (
        "import importlib, sys\n"
        "sys.modules.update(dict.fromkeys(('torch', 'torchmetrics', 'skimage', 'scipy')))\n"
        f"for name in {names}: importlib.import_module('ladle_rt.evaluation.' + name)\n"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
