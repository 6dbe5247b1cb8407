"""A finished run is extended, and the history says what each part was made with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.training.checkpoint import load_checkpoint, save_checkpoint
from ladle_rt.training.loop import train
from ladle_rt.training.phases import Phase
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig
from ladle_rt.training.training_run import Run


@pytest.fixture
def config(pairs_folder: Path) -> TrainConfig:
    return TrainConfig(
        data=(DataSpec(pairs_folder),),
        preset="nano",
        crop=(64, 64),
        steps=2,
        batch=2,
        warmup=1,
        checkpoint_every=2,
        workers=0,
        loss=LossConfig(alpha=0, chroma=1.0),
    )


def parts(path: Path) -> list[tuple[Any, ...]]:
    """First and last step, kind, planned steps and weight of the chroma term of each record."""
    facts = json.loads(path.with_suffix(".json").read_text())["training"]
    return [
        (r["first_step"], r["last_step"], r["kind"], r["steps"], r["loss"]["chroma"])
        for r in facts["phases"]
    ]


def test_a_longer_last_phase_with_other_weights(
    config: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    first = train(config, folder, device="cpu")
    assert parts(first) == [(1, 2, "regression", 2, 1.0)]
    longer = replace(
        config, steps=4, loss=LossConfig(alpha=0, chroma=0.5), validate_every=7, checkpoint_every=1
    )
    train(longer, folder, resume=True, device="cpu")
    assert caplog.messages == [
        "extends the run after step 2: phase 1: 2 → 4 steps; loss.chroma: 1.0 → 0.5"
    ]
    made = [(1, 2, "regression", 2, 1.0), (3, 4, "regression", 4, 0.5)]
    assert parts(first) == made
    state = load_checkpoint(folder)
    assert state is not None and state["step"] == 4
    assert json.loads((folder / "config.json").read_text())["steps"] == 4
    log = (folder / "log.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in log] == ["step", "2", "4"]
    # The same settings again change nothing; the first ones are another, shorter run.
    train(longer, folder, resume=True, device="cpu")
    assert parts(first) == made
    with pytest.raises(ConfigError, match="has made 4 steps of phase 1, received 2"):
        train(config, folder, resume=True, device="cpu")


def test_further_phases_and_a_first_discriminator(config: TrainConfig, tmp_path: Path) -> None:
    train(config, tmp_path, device="cpu")
    phases = (Phase("regression", 2), Phase("discriminator", 1), Phase("adversarial", 1))
    more = replace(
        config, steps=4, phases=phases, loss=LossConfig(alpha=0, chroma=1.0, adversarial=0.1)
    )
    path = train(more, tmp_path, resume=True, device="cpu")
    assert [part[:3] for part in parts(path)] == [
        (1, 2, "regression"),
        (3, 3, "discriminator"),
        (4, 4, "adversarial"),
    ]
    other = replace(
        more,
        steps=5,
        phases=(*phases, Phase("adversarial", 1)),
        loss=replace(more.loss, discriminator="projected"),
    )
    with pytest.raises(ConfigError, match="has trained a discriminator patch, received projected"):
        train(other, tmp_path, resume=True, device="cpu")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 2, "steps": 4}, r"other settings \(seed\)"),
        ({"crop": (96, 96), "steps": 4}, r"other settings \(crop\)"),
        ({"loss": LossConfig(alpha=0)}, "has made all of its steps; add a phase or make"),
        ({"steps": 1}, "has made 2 steps of phase 1, received 1"),
        (
            {"steps": 4, "phases": (Phase("regression", 1), Phase("regression", 3))},
            "has made 2 steps of phase 1, received 1; or start over in another folder",
        ),
        (
            {"steps": 4, "phases": (Phase("regression", 4, pixel=0.5),)},
            r"phase 1 was made as .*pixel 1\.0\), received .*pixel 0\.5\)",
        ),
    ],
)
def test_the_past_stays_what_it_was(
    config: TrainConfig, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    train(config, tmp_path, device="cpu")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(ConfigError, match=told) as caught:
        train(replace(config, **changes), tmp_path, resume=True, device="cpu")
    assert "\n" not in str(caught.value)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


def test_an_unfinished_run_is_finished_first(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, checkpoint_every=1)
    advance = Run.advance

    def stopped(self: Run, batch: Any) -> dict[str, float]:
        if self.step == 1:
            raise KeyboardInterrupt
        return advance(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="at step 1 of 2 and would change its steps; finish it"):
        train(replace(config, steps=4), tmp_path, resume=True, device="cpu")


def test_a_run_of_before_histories_is_extended(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, epochs=1)
    path = train(config, tmp_path, device="cpu")
    state = load_checkpoint(tmp_path)
    assert state is not None and state["step"] == 3
    for name in ("history", "phases", "averaged"):
        del state[name]
    del state["run"]["loss"]["consistency"]  # which came up later
    save_checkpoint(tmp_path, state)
    train(replace(config, epochs=2), tmp_path, resume=True, device="cpu")
    assert [part[:2] for part in parts(path)] == [(1, 3), (4, 6)]
