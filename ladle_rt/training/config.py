"""What a training run is: read from TOML, overridden by flags, checked before anything starts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from ladle_rt.errors import ConfigError
from ladle_rt.thermal.normalization import ThermalNormalization

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MIN_CROP = 176
"""MS-SSIM of five scales with an 11-pixel window needs sides of at least (11 - 1) * 2**4 + 16."""

SampleKind = Literal["scene", "mosaic"]


@dataclass(frozen=True, slots=True)
class DataSpec:
    """One dataset of the mixture."""

    path: Path
    """The dataset's folder."""
    layout: str = "auto"
    """A layout of `ladle_rt.datasets`, or ``auto``."""
    split: str | None = None
    """Keep only this split."""
    lights: tuple[str, ...] = ()
    """Keep only these light conditions; empty keeps all."""
    image_list: Path | None = None
    """Keep only the pairs named in this text file."""
    exclude: tuple[str, ...] = ()
    """Names of pairs to leave out."""
    kind: SampleKind = "scene"
    """``scene``: one pair is one sample; ``mosaic``: object crops, several tiled into one."""
    weight: float = 1.0
    """Share of the samples, relative to the other datasets' weights."""
    terms: str = ""
    """Terms stated at the data's origin; published with the model."""

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ConfigError(f"data weight must be > 0, received {self.weight} for {self.path}")
        if self.kind not in get_args(SampleKind):
            raise ConfigError(
                f"data kind must be one of {get_args(SampleKind)}, received {self.kind!r}"
            )


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the loss terms; see `ladle_rt.training.loss`."""

    alpha: float = 0.84
    """Share of 1 - MS-SSIM against L1, in [0, 1]."""
    ssim: float = 0.0
    """Weight of 1 - SSIM; 0 is the published loss."""
    chroma: float = 0.0
    """Weight of the L1 distance of Cb and Cr; 0 is the published loss."""
    saturation: float = 0.0
    """Weight of the L1 distance of locally averaged chroma magnitude; 0 is the published loss."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha must be in [0, 1], received {self.alpha}")
        if min(self.ssim, self.chroma, self.saturation) < 0:
            raise ConfigError(
                "ssim, chroma and saturation must be >= 0, "
                f"received {self.ssim}, {self.chroma} and {self.saturation}"
            )


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run."""

    data: tuple[DataSpec, ...]
    """Datasets to train on, mixed by weight."""
    validation: DataSpec | None = None
    """Pairs for choosing the best checkpoint; never trained on."""
    architecture: str = "ladlenet"
    """Name in the model registry."""
    preset: str = "compact"
    """Preset of that architecture."""
    crop: tuple[int, int] = (192, 256)
    """Height and width of the training samples, pixels."""
    steps: int = 4000
    """Optimiser steps."""
    batch: int = 8
    """Samples per step."""
    learning_rate: float = 2e-3
    """Peak of the one-cycle schedule: linear warm-up, cosine decay to zero."""
    warmup: int = 200
    """Steps of linear warm-up."""
    weight_decay: float = 1e-2
    """AdamW's decoupled weight decay."""
    ema: float = 0.998
    """Decay of the averaged weights that are validated and exported; 0 switches it off."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss terms."""
    thermal: ThermalNormalization = field(default_factory=ThermalNormalization)
    """Normalisation, stored with the model and used at run time."""
    seed: int = 1
    """Seed of weights and samples: one seed, one run."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    validate_every: int = 400
    """Steps between validations and sample sheets."""
    workers: int = 1
    """Data-loading processes; 0 loads in the training process."""

    def __post_init__(self) -> None:
        if not self.data:
            raise ConfigError("training needs at least one dataset; give --data or [[data]]")
        for name in ("steps", "batch", "checkpoint_every", "validate_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be >= 1, received {getattr(self, name)}")
        for name in ("warmup", "workers", "weight_decay", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be >= 0, received {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be > 0, received {self.learning_rate}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema must be in [0, 1), received {self.ema}")
        if (self.loss.alpha > 0 or self.loss.ssim > 0) and min(self.crop) < MIN_CROP:
            raise ConfigError(
                f"MS-SSIM needs crops of at least {MIN_CROP}x{MIN_CROP}, "
                f"received {self.crop[0]}x{self.crop[1]}"
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; two runs with equal values are the same run."""
        values: dict[str, Any] = _plain(asdict(self))
        return values


def recipe_path(name: str) -> Path:
    """A recipe that ships in the package.

    Raises:
        ConfigError: unknown name.
    """
    folder = Path(str(resources.files("ladle_rt") / "training" / "recipes"))
    path = folder / f"{name}.toml"
    if not path.is_file():
        names = sorted(file.stem for file in folder.glob("*.toml"))
        raise ConfigError(f"recipe must be one of {names}, received {name!r}")
    return path


def resolve_config(
    config: Path | None, recipe: str | None, data_root: Path, overrides: Mapping[str, Any]
) -> TrainConfig:
    """The run that a recipe and flags describe.

    Args:
        config: a TOML recipe of the user's. ``[[data]]`` and ``[validation]`` tables hold
            `DataSpec` fields, ``[loss]`` and ``[thermal]`` theirs, top-level keys those of
            `TrainConfig`.
        recipe: or the name of one that ships.
        data_root: relative dataset paths of the recipe start here.
        overrides: `TrainConfig` fields given as flags; they win. Tables given so replace
            single settings of the recipe's table, lists replace the whole list.

    Raises:
        ConfigError: both or an unknown recipe, not TOML, unknown keys or values out of range.
    """
    if config is not None and recipe is not None:
        raise ConfigError("expected --config or --recipe, received both")
    path = recipe_path(recipe) if recipe is not None else config
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: expected a TOML recipe, received {error}") from error
    for key, value in overrides.items():
        values[key] = {**values.get(key, {}), **value} if key == "loss" else value
    return config_from_values(values, data_root)


def config_from_values(values: Mapping[str, Any], data_root: Path = Path()) -> TrainConfig:
    """Build a configuration from nested plain values, as TOML or a checkpoint holds them.

    Raises:
        ConfigError: unknown keys or values of the wrong kind or out of range.
    """
    plain = dict(values)
    plain["data"] = tuple(_data_spec(entry, data_root) for entry in plain.get("data", ()))
    if plain.get("validation") is not None:
        plain["validation"] = _data_spec(plain["validation"], data_root)
    if "loss" in plain:
        plain["loss"] = _build(LossConfig, plain["loss"], "[loss]")
    if "thermal" in plain:
        plain["thermal"] = _build(ThermalNormalization, plain["thermal"], "[thermal]")
    if "crop" in plain:
        plain["crop"] = tuple(plain["crop"])
    config: TrainConfig = _build(TrainConfig, plain, "recipe")
    return config


def _data_spec(values: Any, root: Path) -> DataSpec:
    if isinstance(values, DataSpec):
        return values
    plain = dict(values)
    for key in ("path", "image_list"):
        if plain.get(key) is not None:
            plain[key] = root / str(plain[key])
    for key in ("lights", "exclude"):
        if key in plain:
            plain[key] = tuple(plain[key])
    spec: DataSpec = _build(DataSpec, plain, "[[data]]")
    return spec


def _build(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    known = {item.name for item in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"{where}: unknown setting {unknown[0]!r}; known are {sorted(known)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
