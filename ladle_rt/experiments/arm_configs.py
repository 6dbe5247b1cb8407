"""From a plan to runs: what each arm trains at a scale, under a name that says what it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ladle_rt.errors import ConfigError, DatasetError, ModelError
from ladle_rt.experiments.experiment_plan import (
    Arm,
    Experiment,
    Pretraining,
    Scale,
    ScaleName,
    ValidationSet,
    base_scale,
    lineage,
)
from ladle_rt.models.artifact import file_sha256
from ladle_rt.training.data_spec import DataSpec
from ladle_rt.training.phases import Phase
from ladle_rt.training.resolve import merge, resolve_config
from ladle_rt.training.run_folder import FREE, publishable
from ladle_rt.training.train_config import TrainConfig

BASE_RECIPE = "paper"


@dataclass(frozen=True, slots=True)
class Shortened:
    """Flags that make any experiment smaller; what they change is another run."""

    steps: int | None = None
    """Of each arm and of each pretraining; phases shrink in proportion."""
    seeds: int | None = None
    batch: int | None = None
    workers: int | None = None
    subset: int | None = None
    """Pairs of each dataset, validation included."""


@dataclass(frozen=True, slots=True)
class ArmRun:
    """One arm with one seed."""

    arm: Arm
    seed: int
    config: TrainConfig
    """What it trains; of a pretrained Handle ``handle_weights`` is filled in later."""
    key: str
    """Name of its folder: equal in every experiment that trains the same."""
    pretraining: PretrainingRun | None = None


@dataclass(frozen=True, slots=True)
class PretrainingRun:
    """A Handle that has to be made before an arm."""

    task: Pretraining
    data: tuple[DataSpec, ...]
    steps: int
    architecture: str
    preset: str
    seed: int
    key: str


@dataclass(frozen=True, slots=True)
class ResolvedExperiment:
    """Everything that one experiment needs at one scale."""

    name: str
    plan: Experiment
    scale: ScaleName
    seeds: int
    runs: tuple[ArmRun, ...]
    """Seed by seed, so that what an interruption leaves compares all arms."""
    skipped: Mapping[str, str]
    """Why arms are not run."""
    validation: tuple[ValidationSet, ...]
    videos: tuple[Path, ...]


def resolve_experiment(
    name: str,
    plan: Experiment,
    scale: ScaleName,
    data_root: Path,
    checkpoints: Mapping[str, Path],
    shortened: Shortened | None = None,
) -> ResolvedExperiment:
    """Settle what is trained and what it is judged on, before anything starts.

    Args:
        name: of the experiment.
        plan: the experiment.
        scale: which of its sizes.
        data_root: where relative dataset paths start.
        checkpoints: files by the names that arms ask for.
        shortened: smaller than the plan says.

    Raises:
        ConfigError: an arm's settings that do not add up.
        DatasetError: folders that are missing, all of them named.
        ModelError: a checkpoint that is not there.
    """
    shortened = shortened or Shortened()
    data_root = data_root.resolve()
    base, layer = base_scale(scale), plan.layer(scale)
    for given, path in checkpoints.items():
        if not path.is_file():
            raise ModelError(f"checkpoint {given}: expected a file, found none at {path}")
    seeds = shortened.seeds or layer.seeds or base.seeds or 1
    skipped, found = {}, []
    for arm in plan.arms:
        reasons = (one.why_skipped(scale) for one in reversed(lineage(plan, arm)))
        reason = next(filter(None, reasons), "") or _lacks(arm, scale, checkpoints)
        if reason:
            skipped[arm.name] = reason
        elif not arm.model:
            values = _values(plan, arm, scale, base, layer)
            found.append((arm, _settings(arm, values, data_root, shortened)))
    for comparison in plan.comparisons or ():
        if comparison.arm == comparison.against:
            raise ConfigError(f"comparison of {comparison.arm!r} with itself")
    validation = tuple(
        replace(one, spec=_cut(_below(data_root, one.spec), shortened))
        for one in layer.validation or base.validation
    )
    videos = tuple(data_root / path for path in layer.videos or base.videos)
    runs = tuple(
        _run(arm, replace(config, seed=seed), scale, data_root, checkpoints, shortened)
        for seed in range(1, seeds + 1)
        for arm, config in found
    )
    used = [spec for run in runs for spec in run.config.data]
    used += [one.spec for one in validation]
    used += [spec for run in runs if run.pretraining for spec in run.pretraining.data]
    paths = [spec.path for spec in used]
    _check_present(name, [*paths, *(videos if "signatures" in plan.measures else ())], data_root)
    return ResolvedExperiment(name, plan, scale, seeds, runs, skipped, validation, videos)


def _lacks(arm: Arm, scale: ScaleName, checkpoints: Mapping[str, Path]) -> str:
    """What an arm needs and does not have; empty where it can be run."""
    wanted = arm.handle_checkpoint
    if wanted and wanted not in checkpoints and not _pretraining_data(arm, scale):
        return f"needs --checkpoint {wanted}=FILE"
    if arm.pretrain and not arm.handle_checkpoint and not _pretraining_data(arm, scale):
        return f"its pretraining has no data at the scale {scale}"
    return ""


def _pretraining_data(arm: Arm, scale: ScaleName) -> tuple[DataSpec, ...]:
    if arm.pretrain is None:
        return ()
    return arm.pretrain.small if scale == "small" else arm.pretrain.kaist


def _values(
    plan: Experiment, arm: Arm, scale: ScaleName, base: Scale, layer: Scale
) -> dict[str, Any]:
    """Overrides of the base recipe, the last layer winning."""
    layers = [base.recipe, plan.recipe, layer.recipe]
    for one in lineage(plan, arm):
        layers += [one.recipe, one.small if scale == "small" else one.kaist]
    values: dict[str, Any] = {}
    for layered in layers:
        if "steps" in layered or "epochs" in layered:
            values.pop("phases", None)
        merge(values, layered)
    return values


def _settings(
    arm: Arm, values: dict[str, Any], data_root: Path, shortened: Shortened
) -> TrainConfig:
    # The last weights count: nothing is chosen on the pairs that arms are judged on.
    values = {**values, "validation": ()}
    if shortened.batch is not None:
        values["batch"] = shortened.batch
    if shortened.workers is not None:
        values["workers"] = shortened.workers
    try:
        config = resolve_config(None, BASE_RECIPE, data_root, values)
        config = replace(config, data=tuple(_cut(spec, shortened) for spec in config.data))
        return config if shortened.steps is None else _shorten(config, shortened.steps)
    except ConfigError as error:
        raise ConfigError(f"arm {arm.name!r}: {error}") from error


def _shorten(config: TrainConfig, steps: int) -> TrainConfig:
    phases: tuple[Phase, ...] = ()
    if config.phases:
        share = steps / config.steps
        phases = tuple(
            replace(phase, steps=max(1, round(phase.steps * share))) for phase in config.phases
        )
        steps = sum(phase.steps for phase in phases)
    return replace(
        config, steps=steps, epochs=None, phases=phases, warmup=min(config.warmup, steps // 10)
    )


def _run(
    arm: Arm,
    config: TrainConfig,
    scale: ScaleName,
    data_root: Path,
    checkpoints: Mapping[str, Path],
    shortened: Shortened,
) -> ArmRun:
    pretraining = None
    origin: dict[str, str] = {}
    if arm.handle_checkpoint in checkpoints:
        path = checkpoints[arm.handle_checkpoint]
        config = replace(config, handle_weights=str(path.resolve()))
        origin["handle"] = file_sha256(path)
    elif arm.pretrain is not None:
        pretraining = _pretraining(arm, arm.pretrain, config, scale, data_root, shortened)
        origin["handle"] = pretraining.key
    facts = {k: v for k, v in publishable(config).items() if k not in FREE}
    if "handle" in origin:
        del facts["handle_weights"]
    key = f"{config.architecture}-{config.preset}-{digest({**facts, **origin})}-{config.seed}"
    return ArmRun(arm, config.seed, config, key, pretraining)


def _pretraining(
    arm: Arm,
    task: Pretraining,
    config: TrainConfig,
    scale: ScaleName,
    data_root: Path,
    shortened: Shortened,
) -> PretrainingRun:
    data = tuple(_cut(_below(data_root, spec), shortened) for spec in _pretraining_data(arm, scale))
    steps = shortened.steps or (task.small_steps if scale == "small" else task.kaist_steps)
    task = replace(task, batch=shortened.batch or task.batch)
    facts = {
        **{name: getattr(task, name) for name in ("task", "on", "batch", "learning_rate")},
        "data": [str({**asdict(spec), "path": spec.path.name}) for spec in data],
        "network": [config.architecture, config.preset],
        "steps": steps,
        "seed": config.seed,
    }
    key = f"handle-{task.task}-{task.on}-{digest(facts)}-{config.seed}"
    return PretrainingRun(task, data, steps, config.architecture, config.preset, config.seed, key)


def digest(facts: Mapping[str, Any]) -> str:
    """What tells JSON-ready facts from others, in a file's name."""
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _cut(spec: DataSpec, shortened: Shortened) -> DataSpec:
    if shortened.subset is None:
        return spec
    return replace(spec, subset=min(shortened.subset, spec.subset or shortened.subset))


def _below(root: Path, spec: DataSpec) -> DataSpec:
    return replace(spec, path=root / spec.path)


def _check_present(name: str, paths: Iterable[Path], data_root: Path) -> None:
    wanted = dict.fromkeys(paths)
    missing = [path for path in wanted if not path.is_dir()]
    if missing:
        shown = [re.sub(f"^{re.escape(str(data_root))}/", "", str(path)) for path in missing]
        raise DatasetError(
            f"experiment {name} needs {len(wanted)} dataset folders below {data_root}; missing: "
            f"{', '.join(shown)}"
        )
