"""What a training run takes of thermal footage without a truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ladle_rt.errors import ConfigError


@dataclass(frozen=True, slots=True)
class UnpairedSpec:
    """Thermal footage without a truth; see `ladle_rt.training.unpaired`."""

    path: Path
    """A folder of thermal images and videos."""
    frames: int = 60
    """At most so many images of the folder, and frames of each video, evenly spaced."""
    exclude: tuple[str, ...] = ()
    """Leave out the files with these names, without their ending."""
    weight: float = 1.0
    """Share of the frames, relative to the other specs' weights."""
    terms: str = ""
    """Terms stated at the data's origin; published with the model."""

    def __post_init__(self) -> None:
        if self.weight <= 0 or self.frames < 1:
            raise ConfigError(
                f"unpaired weight must be > 0 and frames >= 1, received {self.weight} and "
                f"{self.frames} for {self.path}"
            )
