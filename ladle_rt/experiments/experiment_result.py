"""What an experiment found, as JSON (``result_schema.json``) and back."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ladle_rt.benchmark.intervals import Figure
from ladle_rt.documents import read_json
from ladle_rt.errors import InputError, shown
from ladle_rt.experiments.arm_configs import ResolvedExperiment
from ladle_rt.experiments.arm_scores import ARM, ArmScores
from ladle_rt.experiments.experiment_plan import ALL, Comparison
from ladle_rt.experiments.significance import Resampling, Values, against_claim, holm
from ladle_rt.structure import structure

SCHEMA_VERSION = 1
LEVEL = 0.05
NO_DIFFERENCE = "no difference shown"
Status = Literal["trained", "shipped", "skipped", "unfinished", "baseline"]
FrameKey = tuple[str, str, str]
"""Set, drive and name."""
ByFrame = dict[FrameKey, float]


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm, or one trivial baseline."""

    name: str
    status: Status
    reason: str = ""
    """Why it was skipped, or what is missing."""
    seeds: tuple[int, ...] = ()
    """Those that are finished; none of what has none."""
    parameters: int | None = None
    macs: int | None = None
    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)
    """By group and metric."""
    kid: dict[str, float] = field(default_factory=dict)
    """Kernel distance by validation set, mean over seeds."""


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """Two arms in one metric on one group of frames."""

    arm: str
    against: str
    group: str
    metric: str
    over: str
    """What the intervals were drawn over."""
    difference: Figure
    percent: Figure | None
    p: float
    p_holm: float
    """Corrected for the comparisons of the same metric and group."""
    agree: int
    seeds: int
    claims: dict[str, str] = field(default_factory=dict)
    """By published percentage: inside the interval, not reached, exceeded."""

    @property
    def verdict(self) -> str:
        """In a word: only what holds in every seed and after correction is a difference."""
        apart = self.difference.low > 0 or self.difference.high < 0
        if not apart or self.p_holm >= LEVEL or self.agree < self.seeds:
            return NO_DIFFERENCE
        return "higher" if self.difference.value > 0 else "lower"


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """One experiment at one scale, or as much of it as was done."""

    experiment: str
    title: str
    question: str
    scale: str
    complete: bool
    """False where arms are unfinished."""
    metrics: tuple[str, ...]
    arms: tuple[ArmResult, ...]
    comparisons: tuple[ComparisonResult, ...]
    notes: tuple[str, ...]
    settings: dict[str, Any]
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"schema": SCHEMA_VERSION, **_plain(asdict(self))}


def read_result(path: Path) -> ExperimentResult:
    """Read a result.

    Raises:
        InputError: no result of an experiment, or one of another schema version.
    """
    values = read_json(path, "a result of `ladle-rt experiment`", InputError)
    version = values.pop("schema", None) if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: expected a result of schema version {SCHEMA_VERSION}, received "
            f"{shown(repr(version))}; move it away and run the experiment again"
        )
    return structure(ExperimentResult, values, str(path), InputError)


def analyse(
    resolved: ResolvedExperiment,
    scores: Mapping[str, Mapping[int, ArmScores]],
    settings: dict[str, Any],
    provenance: dict[str, Any],
) -> ExperimentResult:
    """Figures, baselines and comparisons of what is finished.

    Args:
        resolved: the experiment.
        scores: by arm and seed; a shipped model under seed 0.
        settings: of the runs, JSON-ready.
        provenance: of the result, JSON-ready.
    """
    plan = resolved.plan
    arms = [_arm(resolved, name, scores.get(name, {})) for name in [a.name for a in plan.arms]]
    reference = scores.get(plan.reference) or next(iter(scores.values()), {})
    arms += _baselines(resolved, reference)
    complete = all(one.status != "unfinished" for one in arms)
    return ExperimentResult(
        experiment=resolved.name,
        title=plan.title,
        question=plan.question,
        scale=resolved.scale,
        complete=complete,
        metrics=plan.metrics,
        arms=tuple(arms),
        comparisons=tuple(_comparisons(resolved, scores)),
        notes=plan.notes,
        settings=settings,
        provenance=provenance,
    )


def _arm(resolved: ResolvedExperiment, name: str, found: Mapping[int, ArmScores]) -> ArmResult:
    if name in resolved.skipped:
        return ArmResult(name, "skipped", resolved.skipped[name])
    wanted = {run.seed for run in resolved.runs if run.arm.name == name} or {0}
    if not found:
        return ArmResult(name, "unfinished", f"0 of {len(wanted)} runs are finished")
    missing = wanted - found.keys()
    one = next(iter(found.values()))
    kid = {
        place: float(np.mean([scores.kid[place] for scores in found.values()])) for place in one.kid
    }
    status: Status = "shipped" if wanted == {0} else "unfinished" if missing else "trained"
    reason = f"{len(found)} of {len(wanted)} runs are finished" if missing else ""
    return ArmResult(
        name=name,
        status=status,
        reason=reason,
        seeds=tuple(sorted(found)) if wanted != {0} else (),
        parameters=one.parameters,
        macs=one.macs,
        figures=_figures(resolved, [found[seed] for seed in sorted(found)], ARM),
        kid=kid,
    )


def _baselines(resolved: ResolvedExperiment, found: Mapping[int, ArmScores]) -> list[ArmResult]:
    """What does without a model, or without its training."""
    ordered = [found[seed] for seed in sorted(found)]
    if not ordered:
        return []
    rows = dict.fromkeys(row for one in ordered[0].sets for row in one.rows if row != ARM)
    return [ArmResult(row, "baseline", figures=_figures(resolved, ordered, row)) for row in rows]


def _figures(
    resolved: ResolvedExperiment, seeds: Sequence[ArmScores], row: str
) -> dict[str, dict[str, Figure]]:
    result: dict[str, dict[str, Figure]] = {}
    for metric in resolved.plan.metrics:
        values = [_by_frame(one, row, metric) for one in seeds]
        for group, keys in _groups(resolved, _shared(values)).items():
            drawn = Resampling(_drives(keys), len(values))
            result.setdefault(group, {})[metric] = drawn.figure(_table(values, keys))
    return result


def _comparisons(
    resolved: ResolvedExperiment, scores: Mapping[str, Mapping[int, ArmScores]]
) -> list[ComparisonResult]:
    result = []
    for metric in resolved.plan.metrics:
        by_group: dict[str, list[ComparisonResult]] = {}
        for pair in resolved.plan.compared:
            for one in _compare(resolved, pair, metric, scores):
                by_group.setdefault(one.group, []).append(one)
        for found in by_group.values():
            adjusted = holm([one.p for one in found])
            result += [replace(one, p_holm=p) for one, p in zip(found, adjusted, strict=True)]
    return result


def _compare(
    resolved: ResolvedExperiment,
    pair: Comparison,
    metric: str,
    scores: Mapping[str, Mapping[int, ArmScores]],
) -> list[ComparisonResult]:
    mine, other = scores.get(pair.arm, {}), scores.get(pair.against, {})
    seeds = sorted((mine.keys() | other.keys()) - {0}) or [0]
    # A shipped model is one and stands beside every seed.
    seeds = [s for s in seeds if (s in mine or 0 in mine) and (s in other or 0 in other)]
    if not seeds:
        return []
    ours = [_by_frame(mine.get(s) or mine[0], ARM, metric) for s in seeds]
    theirs = [_by_frame(other.get(s) or other[0], ARM, metric) for s in seeds]
    claims = resolved.plan.claims.get(metric, ())
    result = []
    for group, keys in _groups(resolved, _shared([*ours, *theirs])).items():
        drawn = Resampling(_drives(keys), len(seeds))
        found = drawn.difference(_table(ours, keys), _table(theirs, keys))
        result.append(
            ComparisonResult(
                arm=pair.arm,
                against=pair.against,
                group=group,
                metric=metric,
                over=drawn.over,
                difference=found.absolute,
                percent=found.percent,
                p=found.p,
                p_holm=found.p,
                agree=found.agree,
                seeds=found.seeds,
                claims={f"{c:g}": against_claim(found.percent, c) for c in claims},
            )
        )
    return result


def _by_frame(scores: ArmScores, row: str, metric: str) -> ByFrame:
    found: ByFrame = {}
    for one in scores.sets:
        values = one.rows.get(row, {}).get(metric, ())
        for frame, value in zip(one.frames, values, strict=False):
            found[one.name, frame.drive, frame.name] = value
    return found


def _shared(values: Sequence[ByFrame]) -> list[FrameKey]:
    return [key for key in values[0] if all(key in one for one in values[1:])]


def _groups(resolved: ResolvedExperiment, keys: Sequence[FrameKey]) -> dict[str, list[FrameKey]]:
    """All frames, the plan's groups, and each set by itself where there are several."""
    groups = {ALL: list(keys)}
    for name, patterns in resolved.plan.groups.items():
        groups[name] = [
            key for key in keys if any(fnmatch.fnmatch("/".join(key), p) for p in patterns)
        ]
    sets = dict.fromkeys(key[0] for key in keys)
    if len(sets) > 1:
        groups |= {name: [key for key in keys if key[0] == name] for name in sets}
    return {name: found for name, found in groups.items() if found}


def _drives(keys: Sequence[FrameKey]) -> list[str]:
    return [f"{place}/{drive}" for place, drive, _ in keys]


def _table(values: Sequence[ByFrame], keys: Sequence[FrameKey]) -> Values:
    return np.array([[one[key] for key in keys] for one in values], np.float64)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"value", "low", "high"}:
            return Figure(**value).to_list()
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
