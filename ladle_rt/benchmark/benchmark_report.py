"""What a benchmark found, as JSON (``report_schema.json``) and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ladle_rt.benchmark.intervals import Figure
from ladle_rt.documents import read_json
from ladle_rt.errors import InputError, InputNotFoundError, shown
from ladle_rt.structure import structure

SCHEMA_VERSION = 1
Status = Literal["measured", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One model in one engine at one size."""

    model: str
    model_sha256: str
    precision: str
    """``fp32``, ``fp16`` or ``int8``."""
    backend: str
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

    @property
    def key(self) -> str:
        """What is the same case in another report."""
        return f"{self.model} {self.precision} {self.backend} {self.size[1]}x{self.size[0]}"


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """A whole benchmark, or as much of it as was done."""

    complete: bool
    """False while it runs and where it was interrupted."""
    provenance: Mapping[str, Any]
    settings: Mapping[str, Any]
    cases: tuple[CaseResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "schema": SCHEMA_VERSION,
            "complete": self.complete,
            "provenance": dict(self.provenance),
            "settings": dict(self.settings),
            "cases": [_case_to_dict(case) for case in self.cases],
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
            cases=tuple(_case_from_dict(case) for case in values["cases"]),
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
    }


def _case_from_dict(values: Mapping[str, Any]) -> CaseResult:
    figures = {name: _figure(one) for name, one in values["figures"].items()}
    stages = {
        stage: {name: _figure(one) for name, one in found.items()}
        for stage, found in values["stages_ms"].items()
    }
    filled = {**values, "figures": figures, "stages_ms": stages}
    return structure(CaseResult, filled, "a case", InputError)


def _figure(values: Sequence[Any]) -> Figure:
    named = dict(zip(("value", "low", "high"), values, strict=True))
    return structure(Figure, named, "a figure", InputError)
