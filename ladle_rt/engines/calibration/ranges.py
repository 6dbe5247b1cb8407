"""Ranges of activations from streaming histograms.

The fp32 graph runs over the frames with every activation that may be quantised as an extra
output; of each only a histogram of |x| is kept, whose bins double in width when a larger value
comes. Memory does not depend on the number of frames, which is why this is own code: ONNX
Runtime's calibrators keep the activations of all frames that they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from ladle_rt.engines.precision.quantize import quantizable_tensors
from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.models.artifact import INPUT_NAME

Method = Literal["kl", "mse", "percentile", "minmax"]
METHODS: tuple[Method, ...] = get_args(Method)

BINS = 4096
"""Of each histogram. With 128 bins for 128 levels every range would be the maximum."""
LEVELS = 128
"""Magnitudes of a symmetric int8."""
PERCENTILE = 99.99
"""Of |x|, percent."""
SMALLEST_SHARE = 1 / 16
"""The searches do not clip below this share of the maximum."""
CANDIDATES = 96
"""Ranges that a search tries."""

Histogram = npt.NDArray[np.float64]


class StreamingHistogram:
    """|x| of one tensor in `BINS` equal bins from 0 to `limit`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.limit = 0.0
        self.maximum = 0.0
        self.counts: Histogram = np.zeros(BINS)

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Count the magnitudes of a tensor.

        Raises:
            ModelError: NaN or infinity.
        """
        magnitudes = np.abs(values).reshape(-1)
        largest = float(magnitudes.max())
        if not np.isfinite(largest):
            raise ModelError(
                f"expected finite activations on real frames, received NaN or infinity in "
                f"{self.name}; the model cannot be quantised"
            )
        self.maximum = max(self.maximum, largest)
        if largest > self.limit:
            self._widen(largest)
        # Without a width of bins yet, all are zero.
        scaled = magnitudes * np.float32(BINS / self.limit if self.limit else 0)
        indices = np.minimum(scaled.astype(np.int32), BINS - 1)
        self.counts += np.bincount(indices, minlength=BINS)

    def _widen(self, largest: float) -> None:
        if self.limit == 0:
            # All before were zero: they are in the first bin, where they stay.
            self.limit = largest
            return
        while self.limit < largest:
            self.counts[: BINS // 2] = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[BINS // 2 :] = 0
            self.limit *= 2


def measure_histograms(
    graph: Path, frames: Iterable[npt.NDArray[np.float32]]
) -> dict[str, StreamingHistogram]:
    """Run the fp32 graph over frames.

    Args:
        graph: ONNX file of fp32.
        frames: [1,1,H,W] in [0,1], what the network sees.

    Returns:
        Histogram of each of `quantizable_tensors`.
    """
    probe = onnx.load(str(graph))
    wanted = quantizable_tensors(probe)
    present = {output.name for output in probe.graph.output} | {INPUT_NAME}
    for name in wanted:
        if name not in present:
            probe.graph.output.add().name = name
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inner = [name for name in wanted if name != INPUT_NAME]
    histograms = {name: StreamingHistogram(name) for name in wanted}
    for frame in frames:
        values: Any = session.run(inner, {INPUT_NAME: frame})
        if INPUT_NAME in histograms:
            histograms[INPUT_NAME].add(frame)
        for name, value in zip(inner, values, strict=True):
            histograms[name].add(value)
    return histograms


def choose_ranges(histograms: Mapping[str, StreamingHistogram], method: Method) -> dict[str, float]:
    """Largest \\|x\\| to represent, by tensor; an activation that is always 0 gets 1.

    Raises:
        ConfigError: an unknown method.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {METHODS}, received {method!r}")
    pick = {"minmax": _minmax, "percentile": _percentile, "mse": _mse, "kl": _kl}[method]
    return {
        name: pick(histogram) if histogram.maximum > 0 else 1.0
        for name, histogram in histograms.items()
    }


def _minmax(histogram: StreamingHistogram) -> float:
    return histogram.maximum


def _percentile(histogram: StreamingHistogram) -> float:
    cumulative = np.cumsum(histogram.counts)
    index = int(np.searchsorted(cumulative, PERCENTILE / 100 * cumulative[-1]))
    return min((index + 1) * histogram.limit / BINS, histogram.maximum)


def _candidates(histogram: StreamingHistogram) -> npt.NDArray[np.float64]:
    return np.linspace(SMALLEST_SHARE, 1, CANDIDATES) * histogram.maximum


def _mse(histogram: StreamingHistogram) -> float:
    """The range with the smallest mean square error of rounding and clipping."""
    centres = (np.arange(BINS) + 0.5) * (histogram.limit / BINS)
    spans = _candidates(histogram)[:, None]
    step = spans / (LEVELS - 1)
    rounded = np.minimum(np.round(centres / step), LEVELS - 1) * step
    errors = ((centres - rounded) ** 2 * histogram.counts).sum(axis=1)
    return float(spans[np.argmin(errors), 0])


def _kl(histogram: StreamingHistogram) -> float:
    """The range whose 128 levels keep most of the distribution: least Kullback-Leibler divergence.

    Migacz, "8-bit inference with TensorRT", GTC 2017: the reference is the histogram cut at the
    range, its tail added to the last bin; the candidate the same bins merged into `LEVELS` and
    spread again over those that were not empty. Zeros, of which a rectified activation is full,
    are left out: every range represents them exactly.
    """
    counts = histogram.counts.copy()
    counts[0] = 0
    best, best_range = np.inf, histogram.maximum
    width = histogram.limit / BINS
    for span in _candidates(histogram):
        used = max(LEVELS, min(BINS, round(span / width)))
        reference = counts[:used].copy()
        inside = reference.copy()
        reference[-1] += counts[used:].sum()
        group = np.arange(used) * LEVELS // used
        filled = inside > 0
        totals = np.bincount(group, inside, LEVELS)
        members = np.bincount(group, filled, LEVELS)
        spread = np.where(filled, (totals / np.maximum(members, 1))[group], 0)
        # A bin that only the tail fills: no candidate mass, so a small one (the usual smoothing).
        smooth = np.maximum(spread, 1e-4 * max(spread.sum(), 1) / used)
        p, q = reference / max(reference.sum(), 1), smooth / smooth.sum()
        mask = p > 0
        divergence = float((p[mask] * np.log(p[mask] / q[mask])).sum())
        if divergence < best:
            best, best_range = divergence, float(span)
    return best_range
