"""The JSON beside a plan: what it was built from, by whom, for which device."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ladle_rt.documents import read_json
from ladle_rt.errors import InputError, shown
from ladle_rt.models.artifact import file_stem
from ladle_rt.structure import structure

FORMAT = 1
_LABELS = {
    "onnx_sha256": "graph",
    "precision": "precision",
    "flavour": "TensorRT flavour",
    "version": "TensorRT version",
    "profiles": "sizes",
    "flags": "build options",
    "device": "device",
    "calibration_sha256": "calibration",
}
"""The fields that make up the key, and what to call them."""


@dataclass(frozen=True, slots=True)
class PlanManifest:
    """What a plan is; `key` of two manifests is equal where one plan serves both."""

    model: dict[str, Any]
    """Facts of the graph, as in the model's JSON: name, thermal normalisation, derivation, ..."""
    onnx_sha256: str
    """Of the graph that was built."""
    precision: str
    """``fp32``, ``fp16`` or ``int8``."""
    flavour: str
    """``tensorrt`` or ``tensorrt-rtx``."""
    version: str
    """TensorRT's full version."""
    profiles: list[Any]
    """Smallest, best and largest input shape [N,1,H,W] of each optimisation profile."""
    flags: dict[str, Any]
    """Builder options that change the plan."""
    device: dict[str, Any]
    """``targets``, or of the GPU it is for: ``name``, ``compute_capability``, and ``cuda``, the
    version that its driver serves."""
    calibration_sha256: str | None
    """Calibration set of an INT8 graph."""
    plan_sha256: str = ""
    """Of the plan file; empty until it is built."""
    plan_bytes: int = 0
    """Length of the plan file."""
    build_seconds: float = 0.0
    """Time the builder took."""
    layers: list[dict[str, str]] | None = None
    """The inspector's report, if a GPU was at hand."""
    latency_ms: float | None = None
    """Measured on the device, if one was at hand and idle: median of one frame."""
    latency_driver: str = ""
    """Release of the driver that it was measured under; under another it is measured again."""
    note: str = ""
    """Why this precision."""
    format: int = FORMAT

    def __post_init__(self) -> None:
        targets = self.device.get("targets", [])
        if not (isinstance(targets, list) and all(isinstance(one, str) for one in targets)):
            raise InputError(
                f"a plan's manifest: expected names of architectures in device.targets, received "
                f"{shown(targets)}"
            )

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.model.get("name", "model"))

    @property
    def key(self) -> str:
        """Hex SHA-256 over everything that decides about the plan."""
        values = {name: getattr(self, name) for name in _LABELS}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def file_name(self, label: str) -> str:
        """Readable and unique: ``<model>-int8-sm89-rtx1.7.1-<key8>.plan``."""
        targets = self.device.get("targets") or [
            f"sm{str(self.device.get('compute_capability', '')).replace('.', '')}"
        ]
        model = file_stem(self.name)
        return f"{model}-{self.precision}-{'+'.join(targets)}-{label}-{self.key[:8]}.plan"

    def difference(self, other: PlanManifest) -> list[str]:
        """Names of the key's fields that differ, in words."""
        return [
            f"{label} ({getattr(other, name)} → {getattr(self, name)})"
            if name in ("version", "flavour", "precision")
            else label
            for name, label in _LABELS.items()
            if getattr(self, name) != getattr(other, name)
        ]

    def finished(self, plan: bytes, **values: Any) -> PlanManifest:
        """With the facts of the built plan."""
        digest = hashlib.sha256(plan).hexdigest()
        return replace(self, plan_sha256=digest, plan_bytes=len(plan), **values)

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def manifest_path(plan: Path) -> Path:
    """Where the manifest of a plan lies."""
    return plan.with_name(f"{plan.stem}.json")


def read_manifest(path: Path) -> PlanManifest:
    """Read a manifest.

    Raises:
        InputError: missing, unreadable or of another format.
    """
    values = read_json(path, "a plan's manifest", InputError)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise InputError(
            f"{path}: expected a plan's manifest of format {FORMAT}, received something else; "
            "build the plan again"
        )
    try:
        return structure(PlanManifest, values, f"{path}: a plan's manifest", InputError)
    except InputError as error:
        raise InputError(f"{error}; build the plan again") from error
