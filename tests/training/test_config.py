"""Recipes and flags: what wins, and what is refused before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.training.config import (
    DataSpec,
    LossConfig,
    TrainConfig,
    config_from_values,
    resolve_config,
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
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**{"data": DATA, **values})


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_is_a_share(alpha: float) -> None:
    with pytest.raises(ConfigError, match="alpha"):
        LossConfig(alpha=alpha)
    with pytest.raises(ConfigError, match="chroma"):
        LossConfig(chroma=-1)


def test_small_crops_are_fine_without_ms_ssim() -> None:
    assert TrainConfig(data=DATA, crop=(64, 64), loss=LossConfig(alpha=0)).crop == (64, 64)


def test_data_specs_are_checked() -> None:
    with pytest.raises(ConfigError, match="weight must be > 0"):
        DataSpec(Path("x"), weight=0)
    with pytest.raises(ConfigError, match="kind must be one of"):
        DataSpec(Path("x"), kind="video")  # type: ignore[arg-type]


def test_flags_win_over_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('steps = 5\nseed = 3\n[loss]\nchroma = 2.0\n[[data]]\npath = "a"\n')
    config = resolve_config(recipe, None, tmp_path, {"steps": 7, "loss": {"alpha": 0.5}})
    assert (config.steps, config.seed) == (7, 3)
    assert config.loss == LossConfig(alpha=0.5, chroma=2.0)
    assert config.data[0].path == tmp_path / "a"


def test_shipped_recipe_reads() -> None:
    config = resolve_config(None, "compact", Path("root"), {})
    assert config.preset == "compact"
    assert config.validation is not None and config.validation.split == "val"
    # Validation pairs are for choosing, nothing else.
    assert {"split": "train"}.items() <= {"split": config.data[0].split}.items()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = ", "expected a TOML recipe"),
        ("speed = 1", "unknown setting 'speed'"),
        ("[loss]\nbeta = 1", r"\[loss\]: unknown setting 'beta'"),
        ("[[data]]\nweight = 1.0", "path"),
    ],
)
def test_bad_recipes_are_refused(tmp_path: Path, text: str, message: str) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(text)
    with pytest.raises(ConfigError, match=message):
        resolve_config(recipe, None, tmp_path, {})


def test_recipe_names() -> None:
    with pytest.raises(ConfigError, match=r"recipe must be one of \['compact'"):
        resolve_config(None, "nothing", Path(), {})
    with pytest.raises(ConfigError, match="received both"):
        resolve_config(Path("a"), "compact", Path(), {})


def test_configuration_survives_json() -> None:
    config = resolve_config(None, "compact", Path("root"), {})
    assert config_from_values(json.loads(json.dumps(config.to_dict()))) == config
