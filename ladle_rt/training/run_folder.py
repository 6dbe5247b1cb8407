"""A run's folder: whose it is, and what of its configuration may be published."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ladle_rt.documents import read_json
from ladle_rt.errors import ConfigError
from ladle_rt.files import write_text
from ladle_rt.structure import to_plain
from ladle_rt.training.checkpoint import CHECKPOINT
from ladle_rt.training.train_config import TrainConfig, config_from_values

FREE = frozenset({"workers", "checkpoint_every", "validate_every"})
"""Settings that may change on resuming: no step depends on them."""
MAY_CONTINUE = frozenset({"steps", "epochs", "phases", "loss", "teacher"})
"""Settings that may change when a finished run is extended; see `ladle_rt.training.history`."""
SETTINGS = "config.json"
_RESULTS = (CHECKPOINT, "best.safetensors", "last.safetensors")


def identity(config: TrainConfig) -> dict[str, Any]:
    """The settings that results depend on: two runs with equal ones are the same run."""
    return {key: value for key, value in config.to_dict().items() if key not in FREE}


def changed_settings(held: Any, config: TrainConfig) -> set[str]:
    """Names of the settings in which a stored `identity` differs from a configuration.

    One that came up after the run was made has its default there.
    """
    wanted = identity(config)
    try:
        held = identity(config_from_values(held))
    except (ConfigError, TypeError):
        if not isinstance(held, dict):
            return set(wanted)
    return {key for key in (held.keys() | wanted.keys()) - FREE if held.get(key) != wanted.get(key)}


def claim_folder(folder: Path, config: TrainConfig, resume: bool) -> None:
    """Make the run's folder, or check that it holds this very run, or one that this extends.

    Raises:
        ConfigError: it holds another run, or this one and ``resume`` is off.
    """
    path = folder / SETTINGS
    if path.is_file():
        if not resume:
            raise ConfigError(
                f"{folder} already holds a run; add --resume to go on, or choose another folder"
            )
        held = read_json(path, "a run's settings", ConfigError)
        changed = changed_settings(held, config)
        if (folder / CHECKPOINT).is_file():
            # The checkpoint knows whether they extend the run.
            changed -= MAY_CONTINUE
        if changed:
            raise ConfigError(
                f"{folder} holds a run with other settings ({', '.join(sorted(changed))}); "
                "resume with the same ones, or choose another folder"
            )
        return
    # Without its settings nobody can tell whose weights these are.
    if left := [name for name in _RESULTS if (folder / name).exists()]:
        raise ConfigError(
            f"{folder} holds {', '.join(left)} of a run without its config.json; "
            "choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_settings(folder, config)


def write_settings(folder: Path, config: TrainConfig) -> None:
    """Write down what run the folder holds."""
    text = json.dumps(config.to_dict(), indent=2) + "\n"
    write_text(folder / SETTINGS, text)


def publishable(config: TrainConfig) -> dict[str, Any]:
    """The configuration, JSON-ready, with paths reduced to names."""
    values: dict[str, Any] = to_plain(asdict(config), dataset_name)
    if config.handle_weights is not None:
        values["handle_weights"] = Path(config.handle_weights).name
    return values


def dataset_name(path: Path | str) -> str:
    """What a dataset folder is called, wherever it lies."""
    return Path(os.path.abspath(path)).name
