"""The run that a recipe and flags describe.

    recipe that ships  <  the user's TOML  <  flags

A run without either TOML takes the network, loss and schedule of `DEFAULT_RECIPE`, not its data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from ladle_rt.documents import read_toml
from ladle_rt.errors import ConfigError
from ladle_rt.training.train_config import TrainConfig, config_from_values

DEFAULT_RECIPE = "compact"
_RECIPE = "a TOML recipe"
SMOKE_EPOCHS = 2
SMOKE_BATCH = 8
"""A smoke run makes so many passes in batches of at most so many samples."""


def recipe_names() -> list[str]:
    """The recipes that ship in the package."""
    return sorted(file.stem for file in _folder().glob("*.toml"))


def recipe_path(name: str) -> Path:
    """A recipe that ships in the package.

    Raises:
        ConfigError: unknown name.
    """
    if name not in recipe_names():
        raise ConfigError(f"recipe must be one of {recipe_names()}, received {name!r}")
    return _folder() / f"{name}.toml"


def resolve_config(
    config: Path | None,
    recipe: str | None,
    data_root: Path,
    overrides: Mapping[str, Any],
    *,
    subset: int | None = None,
    leaky_random_split: bool = False,
) -> TrainConfig:
    """The run that a recipe, the user's TOML and flags describe.

    Args:
        config: a TOML file of the user's. ``[[data]]`` and ``[validation]`` tables hold
            `DataSpec` fields, ``[loss]`` and ``[thermal]`` theirs, top-level keys those of
            `TrainConfig`.
        recipe: the name of one that ships; ``config`` wins over it.
        data_root: relative dataset paths start here.
        overrides: `TrainConfig` fields given as flags; they win. ``loss`` and ``thermal``
            replace single settings, the others are replaced as a whole; data replace the
            validation pairs too, unless those are given as well. Without ``workers`` there are
            as many as the recipe says, but not more than cores.
        subset: make a smoke run of it: so many pairs of each dataset, validation included,
            `SMOKE_EPOCHS` passes in batches of at most `SMOKE_BATCH`, one checkpoint and one
            validation a pass, a tenth of the steps to warm up. Overrides win over these too.
        leaky_random_split: train on the split ``leaky-train`` of the same data and validate on
            ``leaky-test`` of the first: the publication's split, which flatters.

    Raises:
        ConfigError: an unknown recipe, not TOML, unknown keys or values out of range.
    """
    values: dict[str, Any] = {}
    if recipe is not None:
        values = read_toml(recipe_path(recipe), _RECIPE, ConfigError)
    elif config is None:
        values = read_toml(recipe_path(DEFAULT_RECIPE), _RECIPE, ConfigError)
        del values["data"], values["validation"]
    if config is not None:
        merge(values, read_toml(config, _RECIPE, ConfigError))
    merge(values, overrides)
    loss = values.get("loss", {})
    if values.get("teacher") is not None and isinstance(loss, Mapping):
        values["loss"] = {"distill": 1.0, **loss}
    run = config_from_values(values, data_root)
    if "workers" not in overrides:
        run = replace(run, workers=min(run.workers, os.cpu_count() or 1))
    if leaky_random_split:
        run = _split_leakily(run)
    return run if subset is None else _shrink(run, subset, overrides.keys())


def _folder() -> Path:
    return Path(str(resources.files("ladle_rt") / "training" / "recipes"))


def merge(values: dict[str, Any], wins: Mapping[str, Any]) -> None:
    """Let one layer of a recipe win over those before it, in place.

    Raises:
        ConfigError: a layer with both steps and epochs.
    """
    if wins.get("steps") is not None and wins.get("epochs") is not None:
        raise ConfigError(
            f"expected steps or epochs, received both ({wins['steps']} and {wins['epochs']})"
        )
    for key, value in wins.items():
        held = values.get(key, {})
        if key in ("loss", "thermal") and isinstance(value, Mapping) and isinstance(held, Mapping):
            values[key] = {**held, **value}
        else:
            values[key] = value
    # Validation pairs of a recipe may be among the data given instead of its own.
    if "data" in wins and "validation" not in wins:
        values.pop("validation", None)
    # Epochs win over steps, so a length given later in steps must remove earlier epochs.
    if "steps" in wins:
        values.pop("epochs", None)
    if "phases" in wins:
        for length in {"steps", "epochs"} - wins.keys():
            values.pop(length, None)


def _split_leakily(run: TrainConfig) -> TrainConfig:
    # It is made of all pairs: what a recipe holds back by name takes part.
    data = tuple(replace(spec, split="leaky-train", include=(), exclude=()) for spec in run.data)
    return replace(run, data=data, validation=(replace(data[0], split="leaky-test"),))


def _shrink(run: TrainConfig, subset: int, given: Set[str]) -> TrainConfig:
    data = tuple(replace(spec, subset=subset) for spec in run.data)
    batch = run.batch if "batch" in given else min(run.batch, SMOKE_BATCH, max(subset, 1))
    pass_steps = -(-subset * len(data) // batch)
    smoke: dict[str, Any] = {
        "batch": batch,
        "checkpoint_every": pass_steps,
        "validate_every": pass_steps,
        "warmup": SMOKE_EPOCHS * pass_steps // 10,
    }
    if run.phases:
        # A step of each kind shows whether it works.
        steps = max(1, SMOKE_EPOCHS * pass_steps // len(run.phases))
        smoke["phases"] = tuple(replace(phase, steps=steps) for phase in run.phases)
        smoke["steps"] = steps * len(run.phases)
    elif not {"steps", "epochs"} & given:
        smoke["epochs"] = SMOKE_EPOCHS
    return replace(
        run,
        data=data,
        validation=tuple(replace(spec, subset=subset) for spec in run.validation),
        **{name: value for name, value in smoke.items() if name not in given},
    )
