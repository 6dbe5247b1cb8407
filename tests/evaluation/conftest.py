"""Pairs on disk: two by day, one by night, the thermal image being the truth's green."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


def write_pairs(folder: Path) -> Path:
    for name in ("ir", "vi"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, letter in enumerate("DDN"):
        coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"vi/0000{number}{letter}.png"), picture)
        cv2.imwrite(str(folder / f"ir/0000{number}{letter}.png"), picture[..., 1])
    return folder


@pytest.fixture
def pairs_folder(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs")


@pytest.fixture(scope="module")
def kept_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pairs for all tests of a file; nobody changes them."""
    return write_pairs(tmp_path_factory.mktemp("kept") / "pairs")
