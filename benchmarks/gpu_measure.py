"""What can be asked of a GPU: parity with the CPU, latency, rate, bandwidth.

Each part measures or raises: `SkippedError` with the reason why it cannot run here, `FailedError`
when the GPU's answer is wrong. Figures are JSON-ready; times are milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.benchmark.latency import translate_all
from ladle_rt.errors import LadleError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.translate.base import Translator


class SkippedError(Exception):
    """A part that cannot run here, and why."""


class FailedError(Exception):
    """A part whose result is wrong."""


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one part."""

    outcome: str
    """``passed``, ``skipped`` or ``failed``."""
    reason: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def run_parts(
    parts: Mapping[str, Callable[[], dict[str, Any]]],
    ended: Callable[[dict[str, Part]], object] = lambda so_far: None,
) -> dict[str, Part]:
    """Run every part, whatever becomes of the others.

    Args:
        parts: by name, in their order.
        ended: told after each part what there is so far: a later one may take the process with it.
    """
    results: dict[str, Part] = {}
    for name, part in parts.items():
        try:
            results[name] = Part("passed", figures=part())
        except SkippedError as reason:
            results[name] = Part("skipped", str(reason))
        except (FailedError, LadleError) as reason:
            results[name] = Part("failed", str(reason))
        except Exception as reason:
            results[name] = Part("failed", f"{type(reason).__name__}: {reason}")
        ended(results)
    return results


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """50th, 95th and 99th, four significant digits."""
    found = np.percentile(np.asarray(values), (50, 95, 99))
    names = ("p50", "p95", "p99")
    return {name: float(f"{value:.4g}") for name, value in zip(names, found, strict=True)}


def compare_pictures(
    ours: Sequence[TranslatedFrame],
    reference: Sequence[TranslatedFrame],
    tolerance: int,
    share: float,
) -> dict[str, Any]:
    """Bytes of pictures that differ.

    Args:
        ours: what is judged.
        reference: the same frames by the reference.
        tolerance: differences up to this, counts of 255, are rounding.
        share: of bytes, that may differ by more.

    Raises:
        FailedError: other frames, other sizes, or too many differences.
    """
    worst, beyond, total = 0, 0, 0
    for one, other in zip(ours, reference, strict=True):
        if one.frame.sequence != other.frame.sequence:
            raise FailedError(f"frame {one.frame.sequence} came for {other.frame.sequence}")
        a, b = one.picture.data, other.picture.data
        if a.shape != b.shape:
            raise FailedError(f"picture of shape {a.shape}, expected {b.shape}")
        difference = np.abs(a.astype(np.int16) - b)
        worst = max(worst, int(difference.max()))
        beyond += int((difference > tolerance).sum())
        total += a.size
    figures = {"largest_difference": worst, "share_beyond_tolerance": beyond / total}
    if beyond > share * total:
        raise FailedError(
            f"{beyond / total:.2%} of the bytes differ by more than {tolerance}/255 (largest "
            f"{worst}), expected at most {share:.2%}"
        )
    return figures


def latency_and_rate(translator: Translator, frames: Sequence[Frame]) -> dict[str, Any]:
    """One frame at a time for the latency, then as many as go for the rate."""
    translate_all(translator, frames[:8])
    alone = []
    for frame in frames:
        start = time.perf_counter()
        translator.submit(frame)
        translator.collect(60)
        alone.append((time.perf_counter() - start) * 1e3)
    start = time.perf_counter()
    translate_all(translator, frames)
    elapsed = time.perf_counter() - start
    figures = percentiles(alone)
    return {
        "latency_ms": figures,
        "p99_over_p50": float(f"{figures['p99'] / figures['p50']:.3g}"),
        "fps": float(f"{len(frames) / elapsed:.4g}"),
    }


def noise_frames(count: int, shape: tuple[int, int], dtype: npt.DTypeLike) -> list[Frame]:
    """Smooth moving shapes with noise, the same every time."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    top = np.iinfo(dtype).max
    frames = []
    for number in range(count):
        waves = np.sin((columns + 3 * number) / 40) + np.cos(rows / 30)
        pixels = (waves + 2) / 4 + rng.normal(0, 0.01, shape)
        counts = (np.clip(pixels, 0, 1) * top).astype(dtype)
        frames.append(Frame(counts, number, timestamp_ns=number * 33_333_333))
    return frames
