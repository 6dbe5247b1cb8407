"""What a benchmark found, as JSON (``report_schema.json``) and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ladle_rt.benchmark.intervals import Figure, exact
from ladle_rt.documents import read_json
from ladle_rt.errors import InputError, InputNotFoundError, shown
from ladle_rt.models.artifact import file_sha256
from ladle_rt.structure import structure

SCHEMA_VERSION = 2
Status = Literal["measured", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class EngineFile:
    """What an engine loads: a graph, weights or a plan."""

    sha256: str
    bytes: int
    build_s: float | None = None
    """How long it took to build; ``None``: it is loaded as it is."""

    @classmethod
    def of(cls, path: Path) -> EngineFile:
        """The facts of a file."""
        return cls(file_sha256(path), path.stat().st_size)

    def figures(self) -> dict[str, Figure]:
        """As figures of a case, known exactly."""
        found = {"engine_mb": exact(self.bytes / 2**20)}
        return found if self.build_s is None else found | {"build_s": exact(self.build_s)}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One model in one engine, in one precision, at one size."""

    model: str
    model_sha256: str
    precision: str
    """``fp32``, ``fp16`` or ``int8``."""
    backend: str
    device: str
    """``cpu`` or ``cuda``."""
    size: tuple[int, int]
    """Height and width of the box the network works in."""
    status: Status
    reason: str = ""
    """Why it was skipped or failed."""
    rounds: int = 0
    figures: dict[str, Figure] = field(default_factory=dict)
    """See `FIGURES` of `ladle_rt.benchmark.figure_specs`; those that were measured."""
    stages_ms: dict[str, dict[str, Figure]] = field(default_factory=dict)
    """Percentiles of the idle latency by stage, see `ladle_rt.benchmark.latency`."""
    samples_ms: dict[str, list[list[float]]] = field(default_factory=dict)
    """Every frame's latency, a list for each round: ``idle`` and ``saturated``."""
    drift_by_frame: list[float] = field(default_factory=list)
    """Mean difference to fp32 of each frame of the sample, RGB in [0,1]."""
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    """``throttled`` (``None``: nobody tells), ``reasons`` and ``sources``, while saturated."""
    engine: EngineFile | None = None
    """What was loaded; ``None`` where nothing was."""
    sample_jpeg: str = ""
    """Picture of the sample's first frame: a small JPEG in base64."""

    @property
    def key(self) -> str:
        """What is the same case in another report."""
        return f"{self.model} {self.precision} {self.engine_name} {self.size[1]}x{self.size[0]}"

    @property
    def engine_name(self) -> str:
        """The backend, and where it runs unless that is the CPU."""
        return self.backend if self.device == "cpu" else f"{self.backend} ({self.device})"


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """A whole benchmark, or as much of it as was done."""

    complete: bool
    """False while it runs and where it was interrupted."""
    provenance: Mapping[str, Any]
    settings: Mapping[str, Any]
    cases: tuple[CaseResult, ...]
    thermal_jpeg: str = ""
    """The sample's first frame: a small JPEG in base64."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "schema": SCHEMA_VERSION,
            "complete": self.complete,
            "provenance": dict(self.provenance),
            "settings": dict(self.settings),
            "cases": [_case_to_dict(case) for case in self.cases],
            "thermal_jpeg": self.thermal_jpeg,
        }


def read_report(path: Path) -> BenchmarkReport:
    """Read a report.

    Raises:
        InputNotFoundError: no such file.
        InputError: no benchmark report, or one of another schema version.
    """
    if not path.exists():
        raise InputNotFoundError(f"{path}: no such file")
    try:
        values = read_json(path, "a JSON report of `ladle-rt benchmark`", InputError)
        version = values["schema"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a JSON report of `ladle-rt benchmark`, received "
            f"{type(error).__name__}: {error}"
        ) from error
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: expected a report of schema version {SCHEMA_VERSION}, received "
            f"{shown(version)}; measure again with this version"
        )
    try:
        return BenchmarkReport(
            complete=bool(values["complete"]),
            provenance=_section(values, "provenance", "machine"),
            settings=_section(values, "settings", "frame_size"),
            cases=structure(tuple[CaseResult, ...], values["cases"], "cases", InputError),
            thermal_jpeg=str(values["thermal_jpeg"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: damaged report ({type(error).__name__}: {shown(error, 200)}); measure again"
        ) from error


def _section(values: Mapping[str, Any], name: str, needed: str) -> dict[str, Any]:
    section = dict(values[name])
    if needed not in section:
        raise KeyError(needed)
    return section


def _case_to_dict(case: CaseResult) -> dict[str, Any]:
    return {
        **asdict(case),
        "size": list(case.size),
        "figures": {name: one.to_list() for name, one in case.figures.items()},
        "stages_ms": {
            stage: {name: one.to_list() for name, one in found.items()}
            for stage, found in case.stages_ms.items()
        },
        "samples_ms": {
            name: [[round(value, 3) for value in one] for one in rounds]
            for name, rounds in case.samples_ms.items()
        },
        "drift_by_frame": [float(f"{value:.3g}") for value in case.drift_by_frame],
    }
