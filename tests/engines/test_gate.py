"""What the gate lets through, and what it stops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ladle_rt.engines.gate import Gate, GateLimits, sensitivity
from ladle_rt.errors import ConfigError
from ladle_rt.similarity import ssim


@pytest.fixture
def model(tmp_path: Path, make_model: Callable[..., Path]) -> onnx.ModelProto:
    return onnx.load(str(make_model(tmp_path / "m.onnx")))


@pytest.fixture
def frames() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    smooth = np.linspace(0.3, 0.7, 96, dtype=np.float32)[None] * np.ones((64, 1), np.float32)
    return [
        np.clip(smooth + rng.normal(0, 0.1, smooth.shape), 0, 1).astype(np.float32)[None, None]
        for _ in range(5)
    ]


def changed(
    model: onnx.ModelProto, name: str, change: Callable[..., np.ndarray]
) -> onnx.ModelProto:
    """The same graph with one constant changed."""
    other = onnx.ModelProto.FromString(model.SerializeToString())
    for entry in other.graph.initializer:
        if entry.name == name:
            value = change(numpy_helper.to_array(entry)).astype(np.float32)
            entry.CopyFrom(numpy_helper.from_array(value, name))
    return other


def test_the_same_graph_passes(model: onnx.ModelProto, frames: list[np.ndarray]) -> None:
    report = Gate(model, frames).check(model)
    assert report.passed and report.ssim_mean == 1 and report.psnr_db == float("inf")
    assert report.luminance_drift == 0 and report.task_ssim_loss is None and report.frames == 5


def test_darker_pictures_fail_by_drift(model: onnx.ModelProto, frames: list[np.ndarray]) -> None:
    dark = changed(model, "bias", lambda bias: bias - 0.1)
    report = Gate(model, frames).check(dark)
    assert report.luminance_drift < -1
    assert [failure.split()[0] for failure in report.failures] == ["luminance"]


def test_other_structure_fails_by_similarity(
    model: onnx.ModelProto, frames: list[np.ndarray]
) -> None:
    noisy = changed(model, "weight", lambda weight: -weight)
    report = Gate(model, frames).check(noisy)
    assert not report.passed
    assert report.failures[0].startswith("mean SSIM") and "worst SSIM" in report.failures[1]


def test_nan_fails(model: onnx.ModelProto, frames: list[np.ndarray]) -> None:
    report = Gate(model, frames).check(changed(model, "bias", lambda bias: bias * np.nan))
    assert len(report.failures) == 3


def test_the_worst_frame_is_named(model: onnx.ModelProto, frames: list[np.ndarray]) -> None:
    other = changed(model, "weight", lambda weight: 0.7 * weight)
    frames[3] = np.full_like(frames[3], 0.5)
    frames[3][..., ::2] = 0.9
    report = Gate(model, frames).check(other)
    one_by_one = [Gate(model, [frame]).check(other).ssim_mean for frame in frames]
    assert report.worst_frame == int(np.argmin(one_by_one))
    assert report.ssim_worst == pytest.approx(min(one_by_one))


def test_loss_to_the_truth_counts_frames_that_have_one(
    model: onnx.ModelProto, frames: list[np.ndarray]
) -> None:
    gate = Gate(model, frames)
    truths = [gate.expected[0], None, None, gate.expected[3], None]
    other = changed(model, "weight", lambda weight: 0.5 * weight)
    report = Gate(model, frames, truths).check(other)
    received = Gate(other, frames).expected
    losses = [1 - ssim(received[index], gate.expected[index]) for index in (0, 3)]
    assert report.task_ssim_loss == pytest.approx(np.mean(losses), abs=1e-6)
    assert any(failure.startswith("task SSIM loss") for failure in report.failures)


def test_limits_decide(model: onnx.ModelProto, frames: list[np.ndarray]) -> None:
    other = changed(model, "bias", lambda bias: bias + 0.05)
    strict = GateLimits(luminance_drift=0.01)
    assert Gate(model, frames, limits=GateLimits(luminance_drift=20)).check(other).passed
    assert not Gate(model, frames, limits=strict).check(other).passed


@pytest.mark.parametrize(
    "values",
    [{"ssim_mean": 0.9}, {"ssim_worst": -0.1}, {"luminance_drift": 0}, {"task_ssim_loss": -1}],
)
def test_limits_without_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="received"):
        GateLimits(**values)


def test_a_gate_needs_frames_and_as_many_truths(
    model: onnx.ModelProto, frames: list[np.ndarray]
) -> None:
    with pytest.raises(ConfigError, match="needs held-out frames, received none"):
        Gate(model, [])
    with pytest.raises(ConfigError, match=r"one truth per frame \(5\), received 1"):
        Gate(model, frames, [None])


def test_sensitivity_puts_the_worst_first(model: onnx.ModelProto, frames: list[np.ndarray]) -> None:
    variants = {
        "slight": changed(model, "weight", lambda weight: 0.99 * weight),
        "broken": changed(model, "bias", lambda bias: bias * np.nan),
        "heavy": changed(model, "weight", lambda weight: 0.3 * weight),
    }
    table = sensitivity(Gate(model, frames), variants.items(), 2)
    assert [name for name, _ in table] == ["broken", "heavy", "slight"]
    assert all(report.frames == 2 for _, report in table)
