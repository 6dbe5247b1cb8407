"""An archive for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import Lab


@pytest.fixture
def lab(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Nothing recorded yet."""
    return Lab(tmp_path, tiny_model, monkeypatch)
