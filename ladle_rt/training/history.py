"""How a run was made, phase by phase, and how a finished one may be extended.

What the steps of the past were made with stays: architecture, data, sizes, look, seed, rates.
After them there may be a longer last phase, or further ones, with loss weights of their own.
Extending the last phase is a warm restart: from there its schedule is the longer one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ladle_rt.errors import ConfigError
from ladle_rt.training.loss_config import LossConfig
from ladle_rt.training.phases import Phase
from ladle_rt.training.run_folder import changed_settings, dataset_name
from ladle_rt.training.train_config import TrainConfig, config_from_values

Record = dict[str, Any]
"""A part of a run: its phase as it was planned, ``first_step`` and ``last_step`` of the run,
counted from 1, and the ``loss`` weights (and ``teacher``) it was made with."""


def planned(config: TrainConfig, phases: Sequence[Phase], done: int = 0) -> list[Record]:
    """The records of a configuration's steps after the first ``done``.

    Args:
        config: whose loss they are made with.
        phases: its phases with all settings and lengths.
        done: steps that others have made.
    """
    records: list[Record] = []
    end = 0
    for phase in phases:
        start, end = end, end + phase.steps
        if end > done:
            record = {**asdict(phase), "first_step": max(start, done) + 1, "last_step": end}
            record["loss"] = asdict(config.loss)
            if config.teacher is not None:
                record["teacher"] = dataset_name(config.teacher)
            records.append(record)
    return records


def up_to(history: Sequence[Record], step: int) -> list[Record]:
    """What of a history was made after ``step`` steps."""
    return [
        {**record, "last_step": min(record["last_step"], step)}
        for record in history
        if record["first_step"] <= step
    ]


def extend(
    state: dict[str, Any], config: TrainConfig, phases: Sequence[Phase]
) -> tuple[list[Record], list[str]]:
    """The history of a run that goes on from a checkpoint, and what it changes, in words.

    Args:
        state: the checkpoint, of a run whose other settings are those of ``config``.
        config: what to go on with.
        phases: its phases with all settings and lengths.

    Raises:
        ConfigError: the run is not finished, its phases are not the first of ``phases``, or
            nothing is added to them.
    """
    changed = changed_settings(state.get("run"), config)
    if not changed:
        return state.get("history") or planned(config, phases), []
    held = config_from_values(state["run"])
    made = _made_phases(state, held)
    end, step = sum(phase.steps for phase in made), state["step"]
    if step < end:
        names = ", ".join(sorted(changed))
        raise ConfigError(
            f"the run is at step {step} of {end} and would change its {names}; "
            "finish it with its own settings, then it can be extended"
        )
    _check_continues(made, phases)
    if state.get("objective") and config.loss.adversarial > 0:
        _check_same_discriminator(held.loss, config.loss)
    history = state.get("history") or planned(held, made)
    return history + planned(config, phases, end), _describe(held, config, made, phases)


def _made_phases(state: dict[str, Any], held: TrainConfig) -> tuple[Phase, ...]:
    if "phases" in state:
        return tuple(Phase(**values) for values in state["phases"])
    if held.epochs is not None:
        steps = -(-held.epochs * sum(state["pairs"]) // held.batch)
        return (replace(held.parts[0], steps=steps),)
    return held.parts


def _check_continues(made: Sequence[Phase], phases: Sequence[Phase]) -> None:
    for number, old in enumerate(made):
        new = phases[number] if number < len(phases) else None
        last = number == len(made) - 1
        same = new is not None and replace(new, steps=old.steps) == old
        if new is None or not same or not (new.steps == old.steps or last):
            raise ConfigError(
                f"phase {number + 1} was made as {_name(old)}, received "
                f"{_name(new) if new else 'none'}; an extension begins with the phases that "
                "were made"
            )
        if new.steps < old.steps:
            raise ConfigError(
                f"the run has made {old.steps} steps of phase {number + 1}, received {new.steps}"
            )
    if sum(p.steps for p in phases) <= sum(p.steps for p in made):
        raise ConfigError(
            "the run has made all of its steps; add a phase or make the last one longer"
        )


def _check_same_discriminator(old: LossConfig, new: LossConfig) -> None:
    if old.adversarial > 0 and old.discriminator != new.discriminator:
        raise ConfigError(
            f"the run has trained a discriminator {old.discriminator}, received {new.discriminator}"
        )


def _describe(
    held: TrainConfig, config: TrainConfig, made: Sequence[Phase], phases: Sequence[Phase]
) -> list[str]:
    notes = []
    last = len(made) - 1
    if phases[last].steps > made[last].steps:
        notes.append(f"phase {last + 1}: {made[last].steps} → {phases[last].steps} steps")
    notes += [
        f"phase {number + 1} added: {_name(phases[number])}"
        for number in range(len(made), len(phases))
    ]
    old, new = asdict(held.loss), asdict(config.loss)
    notes += [f"loss.{name}: {old[name]} → {new[name]}" for name in new if old[name] != new[name]]
    if held.teacher != config.teacher:
        notes.append(f"teacher: {held.teacher} → {config.teacher}")
    return notes


def _name(phase: Phase) -> str:
    return (
        f"{phase.kind} of {phase.steps} steps (learning_rate {phase.learning_rate}, "
        f"warmup {phase.warmup}, pixel {phase.pixel})"
    )
