"""The contact sheet: what it shows, where, and in which order."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.datasets import find_pairs, read_visible
from ladle_rt.evaluation.contact_sheet import CAPTION_HEIGHT, GAP, contact_sheet
from ladle_rt.evaluation.eval_model import SIZE, EvalModel
from ladle_rt.evaluation.evaluate import evaluate
from ladle_rt.evaluation.result import EvaluationResult
from ladle_rt.thermal.normalization import ThermalNormalization

HEIGHT, WIDTH = SIZE
RED, GREEN = (np.float32(c).reshape(1, 3, 1, 1) for c in ([1, 0, 0], [0, 1, 0]))
MODELS = [
    EvalModel("red", lambda x: np.repeat(x, 3, axis=1) * RED, ThermalNormalization()),
    EvalModel("green", lambda x: np.repeat(x, 3, axis=1) * GREEN, ThermalNormalization()),
]


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """Ten pairs whose truth is ever further from the thermal image."""
    rng = np.random.default_rng(0)
    for folder in ("ir", "vi"):
        (tmp_path / folder).mkdir()
    thermal = cv2.resize(rng.integers(0, 256, (24, 32), dtype=np.uint8), (WIDTH, HEIGHT))
    for number in range(10):
        noise = rng.normal(0, 12 * number, (HEIGHT, WIDTH, 3))
        truth = np.clip(thermal[..., None] + noise, 0, 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"ir/{number}.png"), thermal)
        cv2.imwrite(str(tmp_path / f"vi/{number}.png"), truth)
    return tmp_path


def tiles(sheet: npt.NDArray[np.uint8], models: int) -> list[list[npt.NDArray[np.uint8]]]:
    """By line and column, without captions; black where there is none."""
    width = (models + 2) * WIDTH
    assert sheet.shape[1] == 3 * width + 2 * GAP
    body = sheet[CAPTION_HEIGHT:]
    return [
        [
            body[top + CAPTION_HEIGHT : top + CAPTION_HEIGHT + HEIGHT, left : left + width]
            for left in range(0, sheet.shape[1], width + GAP)
        ]
        for top in range(0, len(body), CAPTION_HEIGHT + HEIGHT)
    ]


def truths(sheet: npt.NDArray[np.uint8], report: EvaluationResult, models: int) -> list[list[str]]:
    """Which pairs are shown, recognised by their truth."""
    known = {e.pair.name: read_visible(e.pair.visible) for e in report.raw.examples}
    return [
        [
            next((n for n, v in known.items() if np.array_equal(tile[:, -WIDTH:], v)), "")
            for tile in line
        ]
        for line in tiles(sheet, models)
    ]


def test_thermal_every_model_and_truth_side_by_side(ten: Path) -> None:
    report = evaluate(MODELS, find_pairs(ten)[:1])
    sheet = contact_sheet(report, MODELS)
    thermal, red, green, truth = np.hsplit(tiles(sheet, 2)[0][0], 4)
    assert np.array_equal(red[..., 0], thermal[..., 0]) and not red[..., 1:].any()
    assert np.array_equal(green[..., 1], thermal[..., 0]) and not green[..., ::2].any()
    assert np.array_equal(truth, read_visible(ten / "vi/0.png"))
    assert sheet[:CAPTION_HEIGHT].max() == 255 and not tiles(sheet, 2)[0][1].any()


def test_worst_median_and_best_in_columns(ten: Path) -> None:
    report = evaluate(MODELS[:1], find_pairs(ten))
    ranked = [e.pair.name for e in sorted(report.raw.examples, key=lambda e: e.scores["red"].ssim)]
    shown = truths(contact_sheet(report, MODELS[:1], 2), report, 1)
    assert shown == [[ranked[0], ranked[4], ranked[8]], [ranked[1], ranked[5], ranked[9]]]
    few = truths(contact_sheet(report, MODELS[:1], 4), report, 1)
    every = truths(contact_sheet(report, MODELS[:1], None), report, 1)
    assert few == every == [ranked[0:3], ranked[3:6], ranked[6:9], [ranked[9], "", ""]]
