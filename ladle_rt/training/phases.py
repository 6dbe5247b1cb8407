"""The phases of a run, one after the other.

regression      the network alone, without the adversarial terms
discriminator   the discriminator alone, so that it is no beginner when it begins to count
adversarial     both, the adversarial terms growing from nothing over ``warmup`` steps
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ladle_rt.errors import ConfigError

PhaseKind = Literal["regression", "discriminator", "adversarial"]


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a run."""

    kind: PhaseKind
    steps: int
    learning_rate: float | None = None
    """Of the network, at its peak; the run's unless given."""
    warmup: int | None = None
    """Steps of linear warm-up; the run's unless given."""
    pixel: float = 1.0
    """Factor on the terms that compare pixel by pixel (published, l2, ssim)."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(PhaseKind):
            raise ConfigError(
                f"kind of a phase must be one of {get_args(PhaseKind)}, received {self.kind!r}"
            )
        if self.steps < 1 or (self.warmup or 0) < 0 or self.pixel < 0:
            raise ConfigError(
                "a phase needs steps >= 1, warmup >= 0 and pixel >= 0, received "
                f"{self.steps}, {self.warmup} and {self.pixel}"
            )
        if self.learning_rate is not None and self.learning_rate <= 0:
            raise ConfigError(
                f"learning_rate of a phase must be > 0, received {self.learning_rate}"
            )


@dataclass(frozen=True, slots=True)
class PhasePosition:
    """Where a step lies."""

    phase: Phase
    number: int
    """Of the phase, from 0."""
    step: int
    """Steps of the phase before this one."""

    @property
    def ramp(self) -> float:
        """Share of the adversarial weights that counts, 0 to 1."""
        if self.phase.kind != "adversarial":
            return 0.0
        return min(1.0, (self.step + 1) / self.phase.warmup) if self.phase.warmup else 1.0


def locate(phases: Sequence[Phase], step: int) -> PhasePosition:
    """The position of the step that follows ``step`` others; past the end, the last phase's end."""
    for number, phase in enumerate(phases):
        if step < phase.steps or number == len(phases) - 1:
            return PhasePosition(phase, number, min(step, phase.steps))
        step -= phase.steps
    raise ConfigError("expected at least one phase, received none")


def one_cycle(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up to ``peak``, then a cosine to zero at ``steps``."""
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
