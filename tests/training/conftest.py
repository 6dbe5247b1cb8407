"""A small paired dataset that a network can learn something from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


def write_pairs(root: Path, count: int, size: tuple[int, int] = (200, 260), seed: int = 0) -> Path:
    """Write ``count`` pairs in ``root/{ir,vi}``: the visible image is a tint of the thermal one."""
    rng = np.random.default_rng(seed)
    for folder in ("ir", "vi"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        coarse = rng.integers(0, 256, (6, 8), dtype=np.uint8)
        thermal = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
        tint = np.stack([thermal // 2, thermal, 255 - thermal], axis=2)
        cv2.imwrite(str(root / "ir" / f"{index:03d}.png"), thermal)
        cv2.imwrite(str(root / "vi" / f"{index:03d}.png"), tint)
    return root


@pytest.fixture
def pairs_folder(tmp_path: Path) -> Path:
    """Six pairs of 200x260 pixels."""
    return write_pairs(tmp_path / "pairs", 6)
