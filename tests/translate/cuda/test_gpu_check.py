"""The parts of ``benchmarks/gpu_check.py`` that need no network's library, on a fake GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import gpu_bare
from fake_gpu import FakeEngine, FakeGpu
from gpu_check import Checks
from gpu_translators import OPTIONS, Setup


class Dry:
    """A small setup whose GPUs are fakes, by the binding that they were opened with."""

    def __init__(self, launch: Any) -> None:
        self.opened: list[tuple[str, FakeGpu]] = []
        self._launch = launch
        self.setup = Setup.of(
            options=replace(OPTIONS, size=(32, 64)),
            shape=(64, 96),
            frames=4,
            compared=3,
            repeats=2,
            copy_bytes=4096,
            open_gpu=self._open,
            image=lambda capability: b"cubin",
        )

    def _open(self, binding: str) -> Any:
        self.opened.append((binding, FakeGpu(self._launch)))
        return self.opened[-1][1].open()

    def run(self, part: str) -> dict[str, Any]:
        return Checks(self.setup).parts()[part]()


@pytest.fixture
def dry(host_gpu: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dry]:
    monkeypatch.setattr(gpu_bare, "WARM_UP_S", 0.0)
    made = Dry(host_gpu.launch)
    yield made
    assert made.opened
    assert all(gpu.nothing_left() and not gpu.violations for _, gpu in made.opened)


@pytest.mark.parametrize("name", ["kernels", "kernels, half", "steady"])
def test_pictures(dry: Dry, name: str) -> None:
    figures = dry.run(name)
    assert {kind: part["largest_difference"] <= 1 for kind, part in figures.items()} == {
        "uint8": True,
        "uint16": True,
    }


def test_the_other_binding_is_the_one_that_is_opened(
    dry: Dry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_translators.require_binding", lambda binding: None)
    dry.run("kernels, pycuda")
    assert [binding for binding, _ in dry.opened] == ["pycuda"]


def test_bandwidth(dry: Dry) -> None:
    figures = dry.run("bandwidth")
    assert [figures[f"{name} launches"] for name in ("plain", "steady", "detail")] == [3, 5, 4]
    assert figures["steady motion_u8"]["ms"] == 1.0 / gpu_bare.IN_A_ROW
    assert figures["plain ms"] == 3.0 / gpu_bare.IN_A_ROW


def test_cost_of_steadiness(dry: Dry) -> None:
    figures = dry.run("steady, cost")
    assert figures["on"]["fps"] > 0 and figures["off"]["fps"] > 0


@pytest.mark.parametrize("capturable", [True, False])
@pytest.mark.parametrize("network_dtype", ["float32", "float16"])
def test_rate_of_a_bare_engine(dry: Dry, network_dtype: str, capturable: bool) -> None:
    """By its own element type, as a graph where it can be one, with everything given back."""

    def make() -> FakeEngine:
        gpu = dry.opened[-1][1]
        return FakeEngine(
            gpu,
            lambda thermal: np.repeat(thermal, 3, axis=1),
            network_dtype=network_dtype,
            capturable=capturable,
        )

    assert gpu_bare.engine_fps(dry.setup, make) > 0
    calls = dry.opened[-1][1].calls
    assert calls.count("launch_graph") == (dry.setup.frames if capturable else 0)
    assert calls.count("engine.enqueue") == (2 if capturable else 1 + dry.setup.frames)
