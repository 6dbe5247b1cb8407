"""What a calibration set says of itself: its model, its frames and the hashes of its files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class CalibrationManifest:
    """The JSON of a set; it names the hashes of everything else in the folder."""

    schema: int
    model: str
    """The model's name."""
    onnx_sha256: str
    """Of the graph that was calibrated."""
    method: str
    """How the ranges were chosen."""
    network_size: tuple[int, int]
    """Height and width, pixels."""
    ranges_sha256: str
    frames: list[dict[str, Any]]
    """Origin, name, sequence, light and hash of each frame."""
    held_out: list[dict[str, Any]]
    """The same of the frames that were not calibrated on."""
    held_out_files: dict[str, str]
    """Hex SHA-256 by file name."""

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=1) + "\n"
