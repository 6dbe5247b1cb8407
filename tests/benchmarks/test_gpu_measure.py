"""The GPU check's own logic, with translators of the CPU; its parts need a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpu_measure import (
    FailedError,
    SkippedError,
    compare_pictures,
    latency_and_rate,
    noise_frames,
    percentiles,
    run_parts,
)

from ladle_rt.benchmark.latency import translate_all
from ladle_rt.config import TranslateOptions
from ladle_rt.device import cuda_devices
from ladle_rt.errors import BackendError
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.base import Translator

ROOT = Path(__file__).resolve().parents[2]


def translator(model: Path, **options: Any) -> Translator:
    settings = TranslateOptions(backend="onnxruntime", threads=1, **options)
    return create_translator(load_artifact(model), settings, PictureSpec("rgb24", False))


def test_every_part_ends_in_its_outcome() -> None:
    def raises(error: Exception) -> Any:
        def part() -> dict[str, Any]:
            raise error

        return part

    results = run_parts(
        {
            "fine": lambda: {"ms": 1.0},
            "skipped": raises(SkippedError("no TensorRT is installed")),
            "wrong": raises(FailedError("3 % differ")),
            "refused": raises(BackendError("device lost")),
            "broken": raises(ZeroDivisionError("a bug")),
        }
    )
    assert {name: part.outcome for name, part in results.items()} == {
        "fine": "passed",
        "skipped": "skipped",
        "wrong": "failed",
        "refused": "failed",
        "broken": "failed",
    }
    assert results["broken"].reason == "ZeroDivisionError: a bug"


def test_percentiles_are_numpys() -> None:
    values = list(np.random.default_rng(0).random(200))
    found = percentiles(values)
    assert found["p95"] == pytest.approx(np.percentile(values, 95), rel=1e-3)
    assert found["p50"] < found["p95"] < found["p99"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_same_engine_agrees_with_itself(tiny_model: Path, dtype: Any) -> None:
    frames = noise_frames(6, (80, 100), dtype)
    with translator(tiny_model) as one, translator(tiny_model) as other:
        figures = compare_pictures(translate_all(one, frames), translate_all(other, frames), 0, 0)
        assert figures == {"largest_difference": 0, "share_beyond_tolerance": 0}


def test_other_pictures_and_other_frames_fail(tiny_model: Path) -> None:
    frames = noise_frames(4, (80, 100), np.uint8)
    with translator(tiny_model) as one:
        reference = translate_all(one, frames)
        with translator(tiny_model, mark=True) as marked, pytest.raises(FailedError, match="%"):
            compare_pictures(translate_all(marked, frames), reference, 1, 0.001)
        with pytest.raises(FailedError, match="frame 1 came for 0"):
            compare_pictures(reference[1:2], reference[:1], 1, 1)
        wide = replace(
            reference[0],
            picture=replace(reference[0].picture, data=reference[0].picture.data[:-1]),
        )
        with pytest.raises(FailedError, match="expected"):
            compare_pictures([wide], reference[:1], 1, 1)


def test_latency_and_rate_of_a_translator(tiny_model: Path) -> None:
    with translator(tiny_model) as one:
        figures = latency_and_rate(one, noise_frames(20, (64, 96), np.uint8))
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]
    assert figures["fps"] > 0 and figures["p99_over_p50"] >= 1


@pytest.mark.skipif(bool(cuda_devices()), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    command = [sys.executable, "benchmarks/gpu_check.py", "--output", str(target)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 3 and "no GPU" in done.stderr and not target.exists()
    assert len(done.stderr.strip().splitlines()) == 1
