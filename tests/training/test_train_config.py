"""Recipes and flags: what wins, and what is refused before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.training.phases import Phase
from ladle_rt.training.resolve import resolve_config
from ladle_rt.training.train_config import (
    DataSpec,
    LossConfig,
    TrainConfig,
    config_from_values,
)

DATA = (DataSpec(Path("x")),)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": ()}, "at least one dataset"),
        ({"steps": 0}, "steps must be >= 1, received 0"),
        ({"batch": 0}, "batch must be >= 1"),
        ({"learning_rate": 0.0}, "learning_rate must be > 0"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\)"),
        ({"workers": -1}, "workers must be >= 0"),
        ({"crop": (160, 256)}, "crops of at least 176x176, received 160x256"),
        ({"crop": (0, 64)}, r"crop must be two sides >= 1, received \(0, 64\)"),
        ({"epochs": 0}, "epochs must be >= 1, received 0"),
        ({"sampling": "random"}, r"sampling must be one of \('augmented', 'paper'\)"),
        ({"precision": "int8"}, "precision must be one of"),
        ({"optimizer": "sgd"}, "optimizer must be one of"),
        ({"schedule": "plateau"}, "schedule must be one of"),
        ({"sampling": "paper", "crop": (320, 256)}, "frames of 300x400, received a crop of 320"),
        (
            {"sampling": "paper", "data": (DataSpec(Path("x"), kind="mosaic"),)},
            "sampling paper takes data of kind scene, received mosaic",
        ),
        ({"look": "sepia"}, "look must be one of"),
        ({"augment": "wild"}, "augment must be one of"),
        ({"size_share": 1.5}, r"size_share must be in \[0, 1\]"),
        ({"sizes": ((64, 64),)}, r"no smaller than crop \(192, 256\), received \(64, 64\)"),
        ({"sizes": ((288, 384),), "sampling": "paper"}, "has one size, received sizes"),
        ({"clip_norm": 0.0}, "clip_norm must be > 0"),
        (
            {"steps": 5, "phases": (Phase("regression", 2), Phase("regression", 2))},
            "phases add up to 4 steps; expected steps to be that or left out, .* received 5",
        ),
        (
            {"steps": 2, "phases": (Phase("adversarial", 2),)},
            "an adversarial phase and the loss weight adversarial go together",
        ),
        (
            {
                "steps": 2,
                "phases": (Phase("discriminator", 2),),
                "loss": LossConfig(adversarial=1.0),
            },
            "an adversarial phase and the loss weight adversarial go together",
        ),
        ({"teacher": Path("t")}, "teacher and the loss weight distill go together"),
        ({"loss": LossConfig(distill=1)}, "received teacher None and distill 1"),
        (
            {"loss": LossConfig(published=0, distill=1), "teacher": Path("t"), "crop": (64, 64)},
            "crops of at least 176x176",
        ),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**{"data": DATA, **values})


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_is_a_share(alpha: float) -> None:
    with pytest.raises(ConfigError, match="alpha"):
        LossConfig(alpha=alpha)


@pytest.mark.parametrize(
    "name",
    [
        "published",
        "l2",
        "ssim",
        "chroma",
        "saturation",
        "blurred",
        "moments",
        "histogram",
        "perceptual",
        "semantics",
        "stability",
        "adversarial",
        "distill",
    ],
)
def test_loss_weights_are_not_negative(name: str) -> None:
    with pytest.raises(ConfigError, match=f"loss weight {name} must be >= 0, received -1"):
        LossConfig(**{name: -1})


def test_adversarial_settings_go_together() -> None:
    with pytest.raises(ConfigError, match="discriminator must be one of"):
        LossConfig(discriminator="loud")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"feature_matching needs .* received 0.0 and 'patch'"):
        LossConfig(feature_matching=1.0)
    with pytest.raises(ConfigError, match="stability_every must be >= 1, received 0"):
        LossConfig(stability_every=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "warm"}, "kind of a phase must be one of"),
        ({"steps": 0}, "a phase needs steps >= 1"),
        ({"pixel": -1.0}, "pixel >= 0"),
        ({"learning_rate": 0.0}, "learning_rate of a phase must be > 0"),
    ],
)
def test_phases_are_checked(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Phase(**{"kind": "regression", "steps": 2, **values})


def test_a_loss_without_terms_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one loss term with a weight"):
        LossConfig(published=0)


def test_small_crops_are_fine_without_ms_ssim() -> None:
    assert TrainConfig(data=DATA, crop=(64, 64), loss=LossConfig(alpha=0)).crop == (64, 64)


def test_data_specs_are_checked() -> None:
    with pytest.raises(ConfigError, match="weight must be > 0"):
        DataSpec(Path("x"), weight=0)
    with pytest.raises(ConfigError, match="subset must be >= 1, received 0"):
        DataSpec(Path("x"), subset=0)
    with pytest.raises(ConfigError, match="kind must be one of"):
        DataSpec(Path("x"), kind="video")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = ", "expected a TOML recipe"),
        (
            '[[phases]]\nkind = "regression"',
            r"recipe: expected a value for phases\[0\]\.steps, received none",
        ),
        ("phases = 3", "expected a list for phases, received 3"),
        ("tempo = 1", "recipe: unknown key 'tempo'; known are architecture, augment"),
        ("learning_rte = 1", r"unknown key 'learning_rte'; did you mean learning_rate\?"),
        (
            "[loss]\nbeta = 1",
            "recipe: unknown key 'beta' for loss; known are adversarial, alpha",
        ),
        ("[[data]]\nweight = 1.0", r"expected a value for data\[0\]\.path, received none"),
        ('steps = "three"', "recipe: expected a whole number for steps, received 'three'"),
        ("steps = 2.5", "expected a whole number for steps, received 2.5"),
        ("steps = true", "expected a whole number for steps, received True"),
        ("freeze_handle = 1", "expected true or false for freeze_handle, received 1"),
        ("learning_rate = nan", "expected a finite number for learning_rate, received nan"),
        ('learning_rate = "a"', "expected a finite number for learning_rate, received 'a'"),
        ("teacher = 3", "expected a path for teacher, received 3"),
        ("preset = 3", "expected a text for preset, received 3"),
        ("crop = 192", "expected a list for crop, received 192"),
        ("crop = [192]", r"expected 2 values for crop, received \[192\]"),
        ('crop = [192, "a"]', "expected a whole number for crop, received 'a'"),
        ("loss = 3", "recipe: expected a table for loss, received 3"),
        ('data = "x"', "expected a list for data, received 'x'"),
        ("data = [3]", r"expected a table for data\[0\], received 3"),
        ('precision = "int8"', "expected one of fp32, bf16, fp16 for precision, received 'int8'"),
    ],
)
def test_bad_recipes_are_refused(tmp_path: Path, text: str, message: str) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(text)
    with pytest.raises(ConfigError, match=message):
        resolve_config(recipe, None, tmp_path, {})


def test_unknown_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"recipe must be one of \['bridged-unet', 'compact'"):
        resolve_config(None, "nothing", Path(), {})


@pytest.mark.parametrize("recipe", ["compact", "daylight", "paper"])
def test_configuration_survives_json(recipe: str) -> None:
    flags = {"teacher": "t.safetensors", "handle_weights": "imagenet"}
    config = resolve_config(None, recipe, Path("root"), flags, subset=9)
    assert config_from_values(json.loads(json.dumps(config.to_dict()))) == config
