"""A Handle's settings, refused where no network can have them."""

from __future__ import annotations

from dataclasses import dataclass

from ladle_rt.errors import ConfigError
from ladle_rt.models.handles.handle_settings import HandleSettings
from ladle_rt.models.handles.kinds import HANDLES


@dataclass(frozen=True, slots=True)
class HandleConfig(HandleSettings):
    """A segmentation network.

    Raises:
        ConfigError: settings that it cannot have.
    """

    def __post_init__(self) -> None:
        if self.name not in HANDLES:
            raise ConfigError(f"handle must be one of {sorted(HANDLES)}, received {self.name!r}")
        if self.depth not in (3, 4, 5):
            raise ConfigError(f"depth of a handle must be 3, 4 or 5, received {self.depth}")
        if self.output_stride not in (8, 16, 32):
            raise ConfigError(
                f"output_stride of a handle must be 8, 16 or 32, received {self.output_stride}"
            )
        if min(self.channels, self.classes) < 1 or min(self.atrous_rates, default=1) < 1:
            raise ConfigError(
                "channels, classes and atrous_rates of a handle must be >= 1, received "
                f"{self.channels}, {self.classes} and {self.atrous_rates}"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout of a handle must be in [0, 1), received {self.dropout}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0 or self.norm_eps <= 0:
            raise ConfigError(
                "mean and std of a handle must have 3 values, std and norm_eps above 0, received "
                f"{self.mean}, {self.std} and {self.norm_eps}"
            )
        HANDLES[self.name].check(self)
