"""Ranges against slow, independent forms of the same methods."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ladle_rt.engines.calibration.ranges import (
    BINS,
    CANDIDATES,
    LEVELS,
    SMALLEST_SHARE,
    Method,
    StreamingHistogram,
    choose_ranges,
    measure_histograms,
)
from ladle_rt.engines.precision.quantize import quantize
from ladle_rt.errors import ConfigError, ModelError

RNG = np.random.default_rng(4)
GAINS = np.linspace(-4, 4, 16, dtype=np.float32)
CLIPPING: tuple[Method, ...] = ("kl", "mse", "percentile")


def histogram(*parts: np.ndarray) -> StreamingHistogram:
    made = StreamingHistogram("x")
    for part in parts:
        made.add(part.astype(np.float32))
    return made


def ranged(values: np.ndarray, method: Method) -> float:
    return choose_ranges({"x": histogram(values)}, method)["x"]


@pytest.fixture(scope="module")
def heavy_tailed() -> np.ndarray:
    """Like an activation: mostly small, some zeros, a few outliers far out."""
    values = RNG.laplace(0, 0.5, 300_000)
    values[::3] = 0
    values[:5] = (40, -33, 28, 25, 22)
    return values.astype(np.float32)


def test_growing_maximum_keeps_every_value() -> None:
    # Limits that are powers of two make the borders of bins exact.
    parts = [RNG.uniform(0, top, 5_000) * [1, -1][top % 2] for top in (1, 3, 30)]
    parts = [np.append(np.zeros(7), 0), [1.0], *parts, [32.0]]
    made = histogram(*map(np.asarray, parts))
    together = np.abs(np.concatenate(parts)).astype(np.float32)
    expected, _ = np.histogram(together, BINS, (0, 32))
    assert made.limit == made.maximum == 32
    assert made.counts.sum() == together.size
    # A value on the upper border, the 1.0, belongs to the bin below until the bins widen.
    assert np.abs(made.counts - expected).sum() <= 2


def test_order_of_frames_does_not_matter(heavy_tailed: np.ndarray) -> None:
    halves = np.array_split(heavy_tailed, 2)
    ours = choose_ranges({"x": histogram(*halves)}, "kl")["x"]
    # The outliers come first or last: the borders of the bins differ a little.
    assert choose_ranges({"x": histogram(*halves[::-1])}, "kl")["x"] == pytest.approx(ours, rel=0.1)


def test_minmax_is_the_largest_magnitude(heavy_tailed: np.ndarray) -> None:
    assert ranged(heavy_tailed, "minmax") == 40
    assert ranged(-heavy_tailed, "minmax") == 40


@pytest.mark.parametrize("method", CLIPPING)
def test_outliers_are_clipped(method: Method, heavy_tailed: np.ndarray) -> None:
    """With a bin per level, the default elsewhere, each of these would be the maximum."""
    assert 2 < ranged(heavy_tailed, method) < 30


@pytest.mark.parametrize("method", ["minmax", *CLIPPING])
def test_an_activation_of_few_values_is_not_clipped(method: Method) -> None:
    values = np.repeat(np.float32([0, 6]), 5_000)
    assert ranged(values, method) == pytest.approx(6, rel=0.01)


def test_percentile(heavy_tailed: np.ndarray) -> None:
    expected = np.percentile(np.abs(heavy_tailed), 99.99)
    assert ranged(heavy_tailed, "percentile") == pytest.approx(expected, abs=2 * 64 / BINS)


def test_mse_is_the_least_error_of_int8(heavy_tailed: np.ndarray) -> None:
    """Quantising the values themselves, not their histogram."""

    def error(span: float) -> float:
        step = span / (LEVELS - 1)
        rounded = np.clip(np.round(heavy_tailed / step), 1 - LEVELS, LEVELS - 1) * step
        return float(np.mean((heavy_tailed - rounded) ** 2))

    ours = error(ranged(heavy_tailed, "mse"))
    best = min(error(span) for span in np.linspace(40 / 16, 40, 300))
    assert best <= ours <= 1.01 * best
    assert ours < 0.7 * error(40)


def test_kl_is_the_published_search(heavy_tailed: np.ndarray) -> None:
    """Loops over bins, as Migacz's slides have it."""
    made = histogram(heavy_tailed)
    counts = made.counts.copy()
    counts[0] = 0
    best, expected = np.inf, 0.0
    for span in np.linspace(SMALLEST_SHARE, 1, CANDIDATES) * made.maximum:
        used = max(LEVELS, min(BINS, round(span / (made.limit / BINS))))
        reference = list(counts[:used])
        reference[-1] += sum(counts[used:])
        merged: list[list[int]] = [[] for _ in range(LEVELS)]
        for index in range(used):
            merged[index * LEVELS // used].append(index)
        candidate = np.zeros(used)
        for group in merged:
            filled = [index for index in group if counts[index] > 0]
            for index in filled:
                candidate[index] = sum(counts[group]) / len(filled)
        candidate = np.maximum(candidate, 1e-4 * candidate.sum() / used)
        p, q = np.array(reference) / sum(reference), candidate / candidate.sum()
        divergence = sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
        if divergence < best:
            best, expected = divergence, span
    assert ranged(heavy_tailed, "kl") == pytest.approx(expected)


def test_an_activation_that_is_always_zero() -> None:
    assert ranged(np.zeros(100), "kl") == 1


def test_unknown_method() -> None:
    with pytest.raises(ConfigError, match="'entropy'"):
        choose_ranges({}, "entropy")  # type: ignore[arg-type]


def wide_network(path: Path, weight: float = 1.0) -> Path:
    """A box filter with sixteen gains, and a convolution that is wide enough to be quantised."""
    box = np.ones((16, 1, 3, 3), np.float32) / 9 * (GAINS * weight)[:, None, None, None]
    mix = np.eye(16, dtype=np.float32)[:, :, None, None]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["thermal", "box"], ["linear"], pads=[1] * 4),
            helper.make_node("Conv", ["linear", "mix"], ["rgb"]),
        ],
        "wide",
        [helper.make_tensor_value_info("thermal", TensorProto.FLOAT, [1, 1, 64, 96])],
        [helper.make_tensor_value_info("rgb", TensorProto.FLOAT, [1, 16, 64, 96])],
        [numpy_helper.from_array(box, "box"), numpy_helper.from_array(mix, "mix")],
    )
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


def test_activations_are_those_of_the_graph(tmp_path: Path) -> None:
    frames = [RNG.uniform(0, scale, (1, 1, 64, 96)).astype(np.float32) for scale in (0.4, 1)]
    made = measure_histograms(wide_network(tmp_path / "m.onnx"), iter(frames))
    # The network's first convolution, by OpenCV.
    sums = [cv2.boxFilter(f[0, 0], -1, (3, 3), borderType=cv2.BORDER_CONSTANT) for f in frames]
    linear = [mean * gain for mean in sums for gain in GAINS]
    assert set(made) == {"linear"}
    assert made["linear"].maximum == pytest.approx(np.abs(linear).max(), rel=1e-5)
    assert made["linear"].counts.sum() == np.size(linear)
    assert made["linear"].counts.shape == (BINS,)


def test_a_network_with_nothing_to_quantise(tiny_model: Path) -> None:
    frame = np.zeros((1, 1, 64, 96), np.float32)
    assert measure_histograms(tiny_model, [frame]) == {}
    with pytest.raises(ModelError, match="narrow and depthwise ones alone; stay with fp16"):
        quantize(onnx.load(str(tiny_model)), {})


def test_a_model_that_gives_nan(tmp_path: Path) -> None:
    path = wide_network(tmp_path / "m.onnx", float("nan"))
    with pytest.raises(ModelError, match="NaN or infinity in linear"):
        measure_histograms(path, [np.zeros((1, 1, 64, 96), np.float32)])
