"""A tiny experiment on generated pairs, and a way to run it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

PLAN = """
title = "Tiny"
question = "Does it run?"
reference = "L1"
metrics = ["ssim", "ms_ssim", "l1"]
claims = { ssim = [12.4] }

[small]
seeds = 2
recipe = { preset = "nano", steps = 1, batch = 2, warmup = 0, workers = 0, data = [
  { path = "pairs", subset = 2 },
] }

[[small.validation]]
name = "tiny"
spec = { path = "pairs" }
drive = '(\\d)_'

[[arms]]
name = "L1"
recipe.loss.alpha = 0.0

[[arms]]
name = "both"

[[arms]]
name = "boxes"
skipped.all = "no map of classes"
"""


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A folder with ``pairs``: two drives of two pairs with label maps, of 3:2 as RoadScene's."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for folder in ("ir", "vi", "labels"):
        (root / "pairs" / folder).mkdir(parents=True)
    for number in range(4):
        coarse = rng.integers(0, 256, (6, 8), dtype=np.uint8)
        thermal = cv2.resize(coarse, (288, 192), interpolation=cv2.INTER_CUBIC)
        tint = np.stack([thermal // 2, thermal, 255 - thermal], axis=2)
        name = f"{number // 2}_{number}.png"
        cv2.imwrite(str(root / "pairs/ir" / name), thermal)
        cv2.imwrite(str(root / "pairs/vi" / name), tint)
        cv2.imwrite(str(root / "pairs/labels" / name), (thermal > 127).astype(np.uint8))
    return root


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """The tiny experiment."""
    path = tmp_path / "tiny.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def silent() -> Callable[..., contextlib.AbstractContextManager[Callable[[object], None]]]:
    """Shows no progress."""

    @contextlib.contextmanager
    def watch(words: str, steps: int) -> Iterator[Callable[[object], None]]:
        yield lambda progress: None

    return watch
