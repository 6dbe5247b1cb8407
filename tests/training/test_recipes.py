"""The recipes that ship, and what flags make of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.models.registry import preset_config
from ladle_rt.training.resolve import recipe_names, resolve_config
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig


def recipe(name: str, **flags: object) -> TrainConfig:
    return resolve_config(None, name, Path("root"), flags)


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_resolves_to_a_network_that_takes_its_crops(name: str) -> None:
    config = recipe(name)
    multiple = preset_config(config.architecture, config.preset).size_multiple
    assert all(side % multiple == 0 for side in config.crop)
    assert config.validation
    assert all(spec.terms for spec in config.data)


def test_recipes_are_those_of_the_publication_and_ours() -> None:
    assert recipe_names() == [
        "bridged-unet",
        "compact",
        "compact-plus",
        "daylight",
        "paper",
        "paper-plus",
        "pix2pix",
        "unet",
    ]


@pytest.mark.parametrize(
    "name", [name for name in recipe_names() if "compact" not in name and name != "daylight"]
)
def test_published_recipes_share_data_and_length(name: str) -> None:
    config, paper = recipe(name), recipe("paper")
    assert config.data == paper.data and config.validation == paper.validation
    assert (config.sampling, config.crop, config.epochs) == ("paper", (192, 256), 120)
    assert config.optimizer == "adam" and config.ema == 0


def test_published_losses() -> None:
    assert recipe("paper").loss == recipe("paper-plus").loss == LossConfig(alpha=0.84)
    assert recipe("unet").loss == LossConfig(published=0, ssim=0.8, l2=0.2)
    assert recipe("pix2pix").loss == LossConfig(published=100, alpha=0, adversarial=1)


def test_validation_drives_are_not_trained_on() -> None:
    config = recipe("paper")
    (validation,) = config.validation
    assert config.data[0].split == validation.split == "train"
    assert config.data[0].exclude == validation.include != ()


def test_leaky_split_is_over_all_pairs() -> None:
    config = resolve_config(None, "paper", Path("root"), {}, leaky_random_split=True)
    (validation,) = config.validation
    assert [config.data[0].split, validation.split] == ["leaky-train", "leaky-test"]
    assert config.data[0].exclude == validation.include == ()


def test_smoke_run_is_short_unless_told_otherwise() -> None:
    config = resolve_config(None, "paper", Path("root"), {}, subset=100)
    assert config.data[0].subset == config.validation[0].subset == 100
    assert (config.epochs, config.batch) == (2, 8)
    assert config.checkpoint_every == config.validate_every == 13 and config.warmup == 2
    assert resolve_config(None, "paper", Path("root"), {}, subset=3).batch == 3
    flags = {"steps": 5, "batch": 16, "validate_every": 2}
    config = resolve_config(None, "paper", Path("root"), flags, subset=100)
    assert (config.epochs, config.steps, config.batch) == (None, 5, 16)
    assert (config.validate_every, config.checkpoint_every) == (2, 7)
    with pytest.raises(ConfigError, match="subset must be >= 1, received 0"):
        resolve_config(None, "paper", Path("root"), {}, subset=0)


def test_recipe_then_config_then_flags(tmp_path: Path) -> None:
    toml = tmp_path / "mine.toml"
    toml.write_text("steps = 70\nbatch = 4\n[loss]\nchroma = 2.0\n")
    config = resolve_config(toml, "paper", Path("root"), {"batch": 2, "loss": {"alpha": 0.5}})
    # Steps given later than the recipe's epochs replace them.
    assert (config.architecture, config.epochs, config.steps, config.batch) == (
        "ladlenet",
        None,
        70,
        2,
    )
    assert config.loss == LossConfig(alpha=0.5, chroma=2.0)
    assert config.data == recipe("paper").data


def test_data_given_replace_validation_too(tmp_path: Path) -> None:
    toml = tmp_path / "mine.toml"
    toml.write_text('[[data]]\npath = "mine"\n')
    assert resolve_config(toml, "paper", Path("root"), {}).validation == ()
    config = recipe("paper", data=[{"path": "mine"}])
    assert config.data == (DataSpec(Path("root/mine")),) and config.validation == ()
    both = recipe("paper", data=[{"path": "mine"}], validation={"path": "other"})
    assert both.validation == (DataSpec(Path("root/other")),)


def test_without_recipe_the_settings_of_compact_and_no_data() -> None:
    compact = recipe("compact")
    config = resolve_config(None, None, Path(), {"data": [{"path": "mine"}]})
    assert (config.preset, config.steps, config.loss) == ("compact", compact.steps, compact.loss)
    assert config.data == (DataSpec(Path("mine")),) and config.validation == ()
    with pytest.raises(ConfigError, match="at least one dataset; give --data"):
        resolve_config(None, None, Path(), {}, leaky_random_split=True, subset=2)


def test_a_teacher_brings_its_weight() -> None:
    assert recipe("compact", teacher="t.safetensors").loss.distill == 1
    assert recipe("compact", teacher="t.safetensors", loss={"distill": 3.0}).loss.distill == 3


def test_steps_and_epochs_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"steps or epochs, received both \(5 and 2\)"):
        recipe("paper", steps=5, epochs=2)


def test_recipes_start_no_more_workers_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert (recipe("paper").workers, recipe("compact").workers) == (3, 1)
    assert recipe("paper", workers=6).workers == 6


def test_daylight_is_three_phases_towards_one_look() -> None:
    config = recipe("daylight")
    assert [phase.kind for phase in config.phases] == ["regression", "discriminator", "adversarial"]
    assert config.steps == sum(phase.steps for phase in config.phases)
    assert config.look == "daylight" and len(config.validation) == 3
    trained = {(spec.path, spec.split) for spec in config.data}
    assert not trained & {(spec.path, spec.split) for spec in config.validation}
    smoke = resolve_config(None, "daylight", Path("root"), {}, subset=4)
    assert len(smoke.phases) == 3 and smoke.steps == sum(phase.steps for phase in smoke.phases) < 60


def test_paper_recipes_have_none_of_our_terms() -> None:
    ours = (
        "perceptual",
        "moments",
        "histogram",
        "blurred",
        "semantics",
        "stability",
        "feature_matching",
    )
    for name in ("paper", "paper-plus"):
        config = recipe(name)
        assert not any(getattr(config.loss, term) for term in ours) and config.look == "none"
