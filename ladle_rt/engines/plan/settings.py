"""What may be chosen when a plan is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ladle_rt.errors import ConfigError
from ladle_rt.models.artifact import ModelInfo

Shape = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How to build a plan; precision is a property of the graph, not of the build."""

    sizes: tuple[tuple[int, int], ...] = ()
    """Heights and widths that the plan will take, one optimisation profile each, pixels; empty:
    the model's training size."""
    batch: int = 1
    """Most frames at a time; every smaller number works too."""
    targets: tuple[str, ...] = ()
    """Compute capabilities (``sm86``) to build for ahead of time; empty: the GPU at hand."""
    workspace_mib: int | None = None
    """Most scratch memory of one layer, MiB; None: all that the device has."""
    optimization_level: int = 3
    """0 (builds fastest) to 5 (searches longest)."""
    version_compatible: bool = False
    """Whether later TensorRT versions may load the plan (slower; TensorRT only)."""
    timing_cache: Path | None = None
    """File with measured kernel times, read and extended (TensorRT only)."""
    dla: int | None = None
    """Deep Learning Accelerator to use."""

    def __post_init__(self) -> None:
        if any(min(size) < 1 for size in self.sizes):
            raise ConfigError(f"sizes: expected HxW of 1 or more, received {self.sizes}")
        if len(set(self.sizes)) < len(self.sizes) or len(set(self.targets)) < len(self.targets):
            raise ConfigError("sizes and targets: each may be given once")
        if self.batch < 1:
            raise ConfigError(f"batch: expected 1 or more, received {self.batch}")
        for target in self.targets:
            if not re.fullmatch(r"sm\d+", target):
                raise ConfigError(f"targets: expected names such as sm89, received {target!r}")
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise ConfigError(f"workspace: expected 1 MiB or more, received {self.workspace_mib}")
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
                    f"size {height}x{width}: {info.name} needs sides divisible by "
                    f"{info.size_multiple}; try {_nearest(height, info.size_multiple)}x"
                    f"{_nearest(width, info.size_multiple)}"
                )
        return replace(self, sizes=self.sizes or (info.train_size,))

    def profiles(self) -> tuple[tuple[Shape, Shape, Shape], ...]:
        """Smallest, best and largest input shape [N,1,H,W] of each optimisation profile.

        Height and width are fixed within a profile: the kernels are chosen for them, and a CUDA
        graph stays valid. A DLA takes no range of batches.
        """
        smallest = self.batch if self.dla is not None else 1
        return tuple(
            ((smallest, 1, h, w), (self.batch, 1, h, w), (self.batch, 1, h, w))
            for h, w in self.sizes
        )

    def flags(self) -> dict[str, Any]:
        """What else decides about the plan, JSON-ready, for its key."""
        return {
            "workspace_mib": self.workspace_mib,
            "optimization_level": self.optimization_level,
            "version_compatible": self.version_compatible,
            "dla": self.dla,
        }


def _nearest(side: int, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple
