"""Is a graph of lower precision still the same picture? Asked of frames it was not calibrated on.

Everything is measured in ONNX Runtime on the CPU, with Q/DQ pairs computed as they are written
(rounded and clamped in float, not fused into integer kernels): that is what TensorRT makes of the
graph, without the saturation of 16-bit sums that integer kernels show on older processors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from ladle_rt.colour import LUMA
from ladle_rt.errors import ConfigError
from ladle_rt.models.artifact import INPUT_NAME, OUTPUT_NAME
from ladle_rt.similarity import Image, psnr_db, ssim

Thermal = npt.NDArray[np.float32]
"""[1,1,H,W] in [0,1], H and W divisible by the model's size multiple."""


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a graph of lower precision may cost."""

    ssim_mean: float = 0.98
    """Least mean SSIM to the fp32 graph's pictures."""
    ssim_worst: float = 0.95
    """Least SSIM of the worst frame."""
    luminance_drift: float = 1.0
    """Largest mean change of luminance, on a scale of 255."""
    task_ssim_loss: float = 0.005
    """Largest loss of SSIM to the truth, where there is one."""

    def __post_init__(self) -> None:
        if not 0 <= self.ssim_worst <= self.ssim_mean <= 1:
            raise ConfigError(
                "gate limits must satisfy 0 <= ssim_worst <= ssim_mean <= 1, "
                f"received {self.ssim_worst} and {self.ssim_mean}"
            )
        if not (self.luminance_drift > 0 and self.task_ssim_loss > 0):
            raise ConfigError(
                "gate limits of drift and loss must be > 0, "
                f"received {self.luminance_drift} and {self.task_ssim_loss}"
            )


@dataclass(frozen=True, slots=True)
class GateReport:
    """What was measured, and where it broke a limit."""

    frames: int
    ssim_mean: float
    """To the fp32 graph's pictures."""
    ssim_worst: float
    worst_frame: int
    """Index of the frame with the smallest SSIM."""
    psnr_db: float
    """Mean over frames, to the fp32 graph's pictures; infinite for equal ones."""
    luminance_drift: float
    """Mean of this graph's luminance minus fp32's, on a scale of 255; negative is darker."""
    task_ssim_loss: float | None
    """SSIM to the truth that fp32 has and this graph has not; None without a truth."""
    failures: tuple[str, ...]
    """One clause for each broken limit."""

    @property
    def passed(self) -> bool:
        """No limit was broken."""
        return not self.failures

    def line(self) -> str:
        """One line for people."""
        task = "" if self.task_ssim_loss is None else f", task SSIM loss {self.task_ssim_loss:.4f}"
        return (
            f"SSIM to fp32 {self.ssim_mean:.4f} (worst {self.ssim_worst:.4f}), "
            f"PSNR {self.psnr_db:.1f} dB, luminance {self.luminance_drift:+.2f}/255{task}, "
            f"{self.frames} frames"
        )


class Gate:
    """Holds frames and the fp32 graph's pictures of them, and compares other graphs' with them.

    Args:
        reference: the fp32 graph.
        frames: what the network sees, at least one; kept in memory.
        truths: HxWx3 RGB in [0,1] of each frame, None where unknown; or none at all.
        limits: when a graph fails.
    """

    def __init__(
        self,
        reference: onnx.ModelProto,
        frames: Iterable[Thermal],
        truths: Sequence[Image | None] = (),
        limits: GateLimits | None = None,
    ) -> None:
        self._frames = list(frames)
        if not self._frames:
            raise ConfigError("the gate needs held-out frames, received none")
        if truths and len(truths) != len(self._frames):
            raise ConfigError(
                f"the gate needs one truth per frame ({len(self._frames)}), received {len(truths)}"
            )
        self._truths = truths
        self._limits = limits or GateLimits()
        self.expected = pictures(reference, self._frames)

    def check(self, candidate: onnx.ModelProto, frames: int | None = None) -> GateReport:
        """Measure a graph.

        Args:
            candidate: same interface as the reference.
            frames: look at so many of the frames, spread evenly; ``None``: at all of them.
        """
        count = min(frames or len(self._frames), len(self._frames))
        spaced = np.linspace(0, len(self._frames) - 1, count).round()
        indices = [int(index) for index in spaced]
        return self.compare(
            pictures(candidate, [self._frames[index] for index in indices]), indices
        )

    def compare(
        self, received: Sequence[Image], indices: Sequence[int] | None = None
    ) -> GateReport:
        """Measure pictures that another engine made.

        Args:
            received: HxWx3 float32 of each frame.
            indices: which of the gate's frames they are of; ``None``: all, in their order.
        """
        indices = range(len(self._frames)) if indices is None else indices
        expected = [self.expected[index] for index in indices]
        pairs = list(zip(received, expected, strict=True))
        similar = [ssim(ours, reference) for ours, reference in pairs]
        drift = float(np.mean([((ours - ref) @ LUMA).mean() for ours, ref in pairs])) * 255
        losses = [
            ssim(reference, truth) - ssim(ours, truth)
            for (ours, reference), index in zip(pairs, indices, strict=True)
            if self._truths and (truth := self._truths[index]) is not None
        ]
        loss = float(np.mean(losses)) if losses else None
        worst = int(np.argmin(similar))
        return GateReport(
            frames=len(indices),
            ssim_mean=float(np.mean(similar)),
            ssim_worst=similar[worst],
            worst_frame=indices[worst],
            psnr_db=float(np.mean([psnr_db(ours, reference) for ours, reference in pairs])),
            luminance_drift=drift,
            task_ssim_loss=loss,
            failures=self._failures(float(np.mean(similar)), similar[worst], drift, loss),
        )

    def _failures(
        self, mean: float, worst: float, drift: float, loss: float | None
    ) -> tuple[str, ...]:
        limits = self._limits
        # Written so that NaN fails.
        checks = [
            (mean >= limits.ssim_mean, f"mean SSIM {mean:.4f} < {limits.ssim_mean}"),
            (worst >= limits.ssim_worst, f"worst SSIM {worst:.4f} < {limits.ssim_worst}"),
            (
                abs(drift) <= limits.luminance_drift,
                f"luminance drift {drift:+.2f}/255 beyond {limits.luminance_drift:g}",
            ),
        ]
        if loss is not None:
            checks.append(
                (
                    loss <= limits.task_ssim_loss,
                    f"task SSIM loss {loss:.4f} > {limits.task_ssim_loss:g}",
                )
            )
        return tuple(text for fine, text in checks if not fine)


def pictures(graph: onnx.ModelProto, frames: Sequence[Thermal]) -> list[Image]:
    """Run a graph.

    Returns:
        HxWx3 float32 of each frame, as the graph gives it; NaN where it does.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Keep Q/DQ pairs as they are written; see the module's docstring.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    half = session.get_inputs()[0].type == "tensor(float16)"
    results = []
    for frame in frames:
        feed: Any = frame.astype(np.float16) if half else frame
        rgb = session.run([OUTPUT_NAME], {INPUT_NAME: feed})[0]
        results.append(np.ascontiguousarray(rgb[0].transpose(1, 2, 0), dtype=np.float32))
    return results


def sensitivity(
    gate: Gate, quantised_alone: Iterable[tuple[str, onnx.ModelProto]], frames: int
) -> list[tuple[str, GateReport]]:
    """Which convolutions suffer most from being quantised, one at a time.

    Args:
        gate: decides.
        quantised_alone: name of a convolution and the graph in which it alone is quantised.
        frames: how many of the gate's frames to look at for each.

    Returns:
        Name and report, most sensitive (smallest SSIM to fp32) first.
    """
    reports = [(name, gate.check(graph, frames)) for name, graph in quantised_alone]
    return sorted(reports, key=lambda item: np.nan_to_num(item[1].ssim_mean, nan=-math.inf))
