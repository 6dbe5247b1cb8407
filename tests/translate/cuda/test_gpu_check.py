"""The parts of ``benchmarks/gpu_check.py`` about the frame kernels, on a fake GPU: a dry run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import gpu_check
from fake_gpu import FakeGpu


@pytest.fixture
def gpus(host_gpu: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeGpu]]:
    opened: list[FakeGpu] = []

    def open_gpu() -> FakeGpu:
        opened.append(FakeGpu(host_gpu.launch))
        return opened[-1].open()

    monkeypatch.setattr(gpu_check, "open_gpu", open_gpu)
    monkeypatch.setattr(gpu_check, "frame_cubin", lambda capability: b"cubin")
    for name, value in (("SHAPE", (64, 96)), ("FRAMES", 4), ("REPEATS", 2), ("COPY_BYTES", 4096)):
        monkeypatch.setattr(gpu_check, name, value)
    small = gpu_check.replace(gpu_check.OPTIONS, size=(32, 64))
    monkeypatch.setattr(gpu_check, "OPTIONS", small)
    yield opened
    assert opened and all(gpu.closed and not gpu.violations for gpu in opened)


@pytest.mark.parametrize("name", ["kernels", "steady"])
def test_pictures(gpus: list[FakeGpu], name: str) -> None:
    figures = gpu_check.parts()[name]()
    assert {kind: part["largest_difference"] <= 1 for kind, part in figures.items()} == {
        "uint8": True,
        "uint16": True,
    }


def test_bandwidth(gpus: list[FakeGpu]) -> None:
    figures = gpu_check.parts()["bandwidth"]()
    assert [figures[f"{name} launches"] for name in ("plain", "steady", "detail")] == [3, 5, 4]
    assert figures["steady motion_u8"]["ms"] == 1.0


def test_cost_of_steadiness(gpus: list[FakeGpu]) -> None:
    figures = gpu_check.parts()["steady, cost"]()
    assert figures["on"]["fps"] > 0 and figures["off"]["fps"] > 0
