"""What may be chosen when a plan is built."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ladle_rt.errors import ConfigError
from ladle_rt.geometry import LARGEST_BOX
from ladle_rt.models.artifact import ModelInfo

MOST_BATCH = 64
"""Frames in one run."""
Shape = tuple[int, int, int, int]
Size = tuple[int, int]
LARGEST_SIDE = max(LARGEST_BOX["best"])
"""Of the sizes that a plan for every size takes, pixels, unless the model was trained with more."""
SPAN_BEST = (384, 512)
"""Height and width that the kernels of a span are chosen for."""


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How to build a plan; precision is a property of the graph, not of the build."""

    sizes: tuple[Size, ...] = ()
    """Heights and widths that the plan will take, one optimisation profile each, pixels; empty:
    the model's training size, and ``span`` for every other up to `LARGEST_SIDE`."""
    targets: tuple[str, ...] = ()
    """Compute capabilities (``sm86``) to build for ahead of time; empty: the GPU at hand."""
    workspace_mib: int | None = None
    """Most scratch memory of one layer, MiB; None: all that the device has."""
    optimization_level: int = 3
    """0 (builds fastest) to 5 (searches longest)."""
    timing_cache: Path | None = None
    """File with measured kernel times, read and extended (TensorRT only)."""
    batch: int = 1
    """Most frames in a run, for `serve` and servers that gather them; kernels are chosen for so
    many."""
    dla: int | None = None
    """Deep Learning Accelerator to use; it takes fixed sizes only."""
    span: tuple[Size, Size] | None = None
    """Smallest and largest height and width of one more profile, whose kernels serve every size
    between them, though they are chosen for `SPAN_BEST`."""

    def __post_init__(self) -> None:
        if any(min(size) < 1 for size in self.sizes):
            raise ConfigError(f"sizes: expected sides of 1 or more, received {self.sizes}")
        if len(set(self.sizes)) < len(self.sizes) or len(set(self.targets)) < len(self.targets):
            raise ConfigError("sizes and targets: each may be given once")
        for target in self.targets:
            if not re.fullmatch(r"sm\d+", target):
                raise ConfigError(f"targets: expected names such as sm89, received {target!r}")
        if self.batch > 1 and self.dla is not None:
            raise ConfigError("a DLA takes one frame at a time; leave --batch or --dla out")
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise ConfigError(f"workspace: expected 1 MiB or more, received {self.workspace_mib}")
        if not 1 <= self.batch <= MOST_BATCH:
            raise ConfigError(f"batch: expected 1 to {MOST_BATCH} frames, received {self.batch}")
        if not 0 <= self.optimization_level <= 5:
            raise ConfigError(f"opt-level: expected 0 to 5, received {self.optimization_level}")

    def for_model(self, info: ModelInfo) -> BuildSettings:
        """With the sizes filled in, and checked against what the network can take.

        Raises:
            ConfigError: a side that is not divisible by the model's ``size_multiple``.
        """
        for height, width in self.sizes:
            if height % info.size_multiple or width % info.size_multiple:
                raise ConfigError(
                    f"size {width}x{height}: {info.name} needs sides divisible by "
                    f"{info.size_multiple}; try {_nearest(width, info.size_multiple)}x"
                    f"{_nearest(height, info.size_multiple)}"
                )
        if self.sizes:
            return self
        span = None
        if self.dla is None:
            side = LARGEST_SIDE + -LARGEST_SIDE % info.size_multiple
            largest = max(side, *info.train_size)
            span = ((info.size_multiple,) * 2, (largest, largest))
        return replace(self, sizes=(info.train_size,), span=span)

    def profiles(self) -> tuple[tuple[Shape, Shape, Shape], ...]:
        """Smallest, best and largest input shape [N,1,H,W] of each optimisation profile.

        Height and width are fixed within a profile, for which the kernels are chosen; but for
        the last where there is a span.
        """
        ranges = [(size, size, size) for size in self.sizes]
        if self.span is not None:
            low, high = self.span
            height, width = (
                max(least, min(best, most))
                for least, best, most in zip(low, SPAN_BEST, high, strict=True)
            )
            ranges.append((low, (height, width), high))
        most = self.batch
        return tuple(
            ((1, 1, *low), (most, 1, *best), (most, 1, *high)) for low, best, high in ranges
        )

    def flags(self) -> dict[str, Any]:
        """What else decides about the plan, JSON-ready, for its key."""
        return {
            "workspace_mib": self.workspace_mib,
            "optimization_level": self.optimization_level,
            "dla": self.dla,
        }


def settings_for(info: ModelInfo, sizes: Sequence[Size], batch: int = 1) -> BuildSettings:
    """The settings of a plan that takes all these sizes: the usual ones where they do.

    Args:
        info: the model's facts.
        sizes: heights and widths of the network's input, divisible by its ``size_multiple``.
        batch: frames in one run.
    """
    usual = BuildSettings(batch=batch)
    if all(takes(usual.for_model(info).profiles(), size) for size in sizes):
        return usual
    return BuildSettings(sizes=tuple(dict.fromkeys(sizes)), batch=batch)


def takes(profiles: Iterable[Sequence[Sequence[int]]], size: Size, frames: int = 1) -> bool:
    """Whether one of `BuildSettings.profiles` takes so many frames of a height and width."""
    shape = (frames, 1, *size)
    return any(
        all(least <= side <= most for least, side, most in zip(low, shape, high, strict=True))
        for low, _, high in profiles
    )


def _nearest(side: int, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple
