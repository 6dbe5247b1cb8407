"""Datasets made of small real images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def put() -> Callable[..., Path]:
    """Write an image of a gradient: ``put(path, channels=1, size=(8, 8))``."""

    def write(path: Path, channels: int = 1, size: tuple[int, int] = (8, 8)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        ramp = np.linspace(20, 220, size[1]).astype(np.uint8)
        image = np.broadcast_to(ramp[:, None], (*size, channels))
        assert cv2.imwrite(str(path), np.ascontiguousarray(image))
        return path

    return write


@pytest.fixture
def touch(tmp_path: Path) -> Callable[..., Path]:
    """Make empty files below ``tmp_path``; finding pairs opens no image."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make
