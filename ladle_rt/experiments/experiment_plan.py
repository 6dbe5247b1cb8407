"""An experiment as its TOML says it: a question, arms, what is measured and compared."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from ladle_rt.datasets.look import LOOKS, Look
from ladle_rt.documents import read_toml
from ladle_rt.errors import ConfigError
from ladle_rt.structure import structure
from ladle_rt.training.data_spec import DataSpec

ScaleName = Literal["small", "kaist"]
SCALES: tuple[ScaleName, ...] = get_args(ScaleName)
Measure = Literal["pictures", "signatures", "probe"]
ALL = "all"
"""Names every experiment on the command line, every scale in `Arm.skipped`, and every frame among
groups."""
_PLAN = "a TOML experiment"


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """Pairs that arms are judged on and none is trained on."""

    name: str
    """For tables and groups."""
    spec: DataSpec
    """Which pairs."""
    drive: str = ""
    """Regular expression whose first group, found in a pair's name, is its drive; empty: what the
    dataset says."""

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.drive).groups
        except re.error as error:
            raise ConfigError(f"drive of {self.name}: expected a pattern, {error}") from error
        if self.drive and groups != 1:
            raise ConfigError(
                f"drive of {self.name}: expected a pattern with one group, received {self.drive!r}"
            )


@dataclass(frozen=True, slots=True)
class Scale:
    """What one scale adds: the base of all experiments, or one experiment's changes to it."""

    recipe: dict[str, Any] = field(default_factory=dict)
    """`TrainConfig` fields over those of the recipe ``paper``."""
    seeds: int | None = None
    """Runs of each arm."""
    validation: tuple[ValidationSet, ...] = ()
    """Replace those of the base."""
    videos: tuple[Path, ...] = ()
    """Folders of video pairs on which steadiness is measured."""

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise ConfigError(f"seeds must be >= 1, received {self.seeds}")
        _check_unique("validation sets", [one.name for one in self.validation])


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What a LadleNet+ Handle learns before its arm, see `ladle_rt.experiments.handle_pretraining`;
    a scale without data skips the arm."""

    task: Literal["labels", "masked"]
    """``labels``: classes of label maps; ``masked``: hidden blocks of the picture itself."""
    on: Literal["thermal", "visible"]
    """Which side of the pairs it sees; visible pictures in grey."""
    small: tuple[DataSpec, ...] = ()
    kaist: tuple[DataSpec, ...] = ()
    small_steps: int = 300
    kaist_steps: int = 20_000
    batch: int = 8
    learning_rate: float = 1e-3


@dataclass(frozen=True, slots=True)
class Arm:
    """One of what is compared."""

    name: str
    extends: str = ""
    """An arm before it whose settings this one takes over and changes."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """`TrainConfig` fields, at every scale."""
    small: dict[str, Any] = field(default_factory=dict)
    """Further ones at that scale."""
    kaist: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    """A shipped model to measure instead of training one."""
    handle_checkpoint: str = ""
    """Name under which the command gets a file for the Handle's weights."""
    pretrain: Pretraining | None = None
    """How the Handle is made; with ``handle_checkpoint``, what stands in for a missing file."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Why it is not run, by scale or ``all``."""

    def __post_init__(self) -> None:
        trains = self.recipe or self.small or self.kaist or self.pretrain
        if self.model and trains:
            raise ConfigError(f"arm {self.name!r} has a model and settings of a training; keep one")
        if unknown := self.skipped.keys() - {ALL, *SCALES}:
            raise ConfigError(
                f"skipped of arm {self.name!r} must be by scale ({', '.join((ALL, *SCALES))}), "
                f"received {min(unknown)!r}"
            )

    def why_skipped(self, scale: ScaleName) -> str:
        """The plan's reason not to run it at a scale; empty where it runs."""
        return self.skipped.get(scale) or self.skipped.get(ALL, "")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms."""

    arm: str
    against: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """A question and how it is asked."""

    title: str
    question: str
    metrics: tuple[str, ...]
    """Figures that tables show and comparisons test, the first ones first."""
    arms: tuple[Arm, ...]
    reference: str
    """The arm that the others are compared with, unless ``comparisons`` says otherwise; its
    baselines are those of the table."""
    measures: tuple[Measure, ...] = ("pictures",)
    look: Look = "none"
    """What the truth is graded to that pictures are compared with."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """`TrainConfig` fields of all arms."""
    small: Scale = field(default_factory=Scale)
    kaist: Scale = field(default_factory=Scale)
    comparisons: tuple[Comparison, ...] = ()
    claims: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Published improvements in percent, by metric, that every comparison is held against."""
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Frames that are reported by themselves: patterns over ``SET/DRIVE/NAME``."""
    order: int = 100
    """Place among all experiments: those that others share runs with come first."""
    notes: tuple[str, ...] = ()
    """What a reader of the table has to know."""

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        _check_unique("arms", names)
        for what, wanted in (
            ("reference", [self.reference]),
            ("arm of comparisons", [name for c in self.comparisons for name in (c.arm, c.against)]),
        ):
            for name in wanted:
                if name not in names:
                    raise ConfigError(
                        f"{what} must be an arm{_nearest(name, names)}, received {name!r}"
                    )
        for number, arm in enumerate(self.arms):
            if arm.extends and arm.extends not in names[:number]:
                raise ConfigError(
                    f"extends of arm {arm.name!r} must be an arm before it, "
                    f"received {arm.extends!r}"
                )
        if not self.metrics or not self.measures:
            raise ConfigError("an experiment needs metrics and measures, received none")
        if self.look not in LOOKS:
            raise ConfigError(f"look must be one of {LOOKS}, received {self.look!r}")

    @property
    def compared(self) -> tuple[Comparison, ...]:
        """What is compared with what."""
        others = (arm.name for arm in self.arms if arm.name != self.reference)
        return self.comparisons or tuple(Comparison(name, self.reference) for name in others)

    def layer(self, scale: ScaleName) -> Scale:
        """Its changes to the base of a scale."""
        return self.small if scale == "small" else self.kaist


def experiment_names() -> list[str]:
    """The experiments that ship."""
    return sorted(path.stem for path in _folder("plans").glob("*.toml"))


def experiments_in_order() -> list[str]:
    """The experiments that ship, as they are best run one after the other."""
    return sorted(experiment_names(), key=lambda name: (open_experiment(name)[1].order, name))


def open_experiment(name: str) -> tuple[str, Experiment]:
    """An experiment by the name of one that ships, or by the path of a TOML file.

    Returns:
        What to call it, and the plan.

    Raises:
        ConfigError: no such experiment or file, or a plan that does not add up.
    """
    if name.endswith(".toml"):
        path = Path(name)
    elif name in experiment_names():
        path = _folder("plans") / f"{name}.toml"
    else:
        known = experiment_names()
        hint = _nearest(name, known) or f"; there are {', '.join(known)}"
        raise ConfigError(f"no experiment {name!r}{hint}; or give the path of a .toml file")
    values = read_toml(path, _PLAN, ConfigError)
    return path.stem, structure(Experiment, values, path.name, ConfigError)


def base_scale(scale: ScaleName) -> Scale:
    """What all experiments share at a scale."""
    path = _folder("scales") / f"{scale}.toml"
    return structure(Scale, read_toml(path, "a TOML scale", ConfigError), path.name, ConfigError)


def lineage(experiment: Experiment, arm: Arm) -> list[Arm]:
    """An arm behind those that it extends, the first one first."""
    by_name: Mapping[str, Arm] = {one.name: one for one in experiment.arms}
    found = [arm]
    while found[0].extends:
        found.insert(0, by_name[found[0].extends])
    return found


def _folder(name: str) -> Path:
    return Path(str(resources.files("ladle_rt") / "experiments" / name))


def _check_unique(what: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"{what} need names that differ, received {twice[0]!r} twice")


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
