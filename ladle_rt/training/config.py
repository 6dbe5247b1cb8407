"""What a training run is, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ladle_rt.errors import ConfigError
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.training.values import from_values

MIN_CROP = 176
"""MS-SSIM of five scales with an 11-pixel window needs sides of at least (11 - 1) * 2**4 + 16."""

PAPER_SIZE = (300, 400)
"""Height and width to which the published code resizes frames before it crops their centre."""

SampleKind = Literal["scene", "mosaic"]
Precision = Literal["fp32", "bf16", "fp16"]
Optimizer = Literal["adamw", "adam"]
Schedule = Literal["one-cycle", "constant"]
Sampling = Literal["augmented", "paper"]


@dataclass(frozen=True, slots=True)
class DataSpec:
    """One dataset of the mixture."""

    path: Path
    """The dataset's folder."""
    layout: str = "auto"
    """A layout of `ladle_rt.datasets`, or ``auto``."""
    split: str | None = None
    """Keep only this split; ``train?`` keeps all pairs of a dataset that has no ``train``."""
    lights: tuple[str, ...] = ()
    """Keep only these light conditions; empty keeps all."""
    image_list: Path | None = None
    """Keep only the pairs named in this text file."""
    include: tuple[str, ...] = ()
    """Keep only the pairs with these names or first parts of names (``set02/V004``)."""
    exclude: tuple[str, ...] = ()
    """Leave out the pairs with these names or first parts of names."""
    subset: int | None = None
    """Of what is left, keep at most so many pairs, evenly spaced."""
    kind: SampleKind = "scene"
    """``scene``: one pair is one sample; ``mosaic``: object crops, several tiled into one."""
    weight: float | None = None
    """Share of the samples, relative to the other datasets' weights; None: its number of pairs."""
    terms: str = ""
    """Terms stated at the data's origin; published with the model."""

    def __post_init__(self) -> None:
        if self.weight is not None and self.weight <= 0:
            raise ConfigError(f"data weight must be > 0, received {self.weight} for {self.path}")
        if self.kind not in get_args(SampleKind):
            raise ConfigError(
                f"data kind must be one of {get_args(SampleKind)}, received {self.kind!r}"
            )
        if self.subset is not None and self.subset < 1:
            raise ConfigError(f"subset must be >= 1, received {self.subset}")


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the loss terms; see `ladle_rt.training.loss`."""

    alpha: float = 0.84
    """Share of 1 - MS-SSIM against L1, in [0, 1]."""
    published: float = 1.0
    """Weight of that mixture of MS-SSIM and L1; 0 leaves it out."""
    l2: float = 0.0
    """Weight of the mean squared difference."""
    ssim: float = 0.0
    """Weight of 1 - SSIM; 0 is the published loss."""
    chroma: float = 0.0
    """Weight of the L1 distance of Cb and Cr; 0 is the published loss."""
    saturation: float = 0.0
    """Weight of the L1 distance of locally averaged chroma magnitude; 0 is the published loss."""
    adversarial: float = 0.0
    """Weight of the PatchGAN term (Pix2Pix); 0 trains no discriminator."""
    distill: float = 0.0
    """Weight of the distance to the teacher's output; needs ``teacher``."""
    consistency: float = 0.0
    """Weight of the L1 distance between the outputs for two draws of sensor noise on one frame:
    what follows the noise flickers in video. Doubles the cost of a step."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha must be in [0, 1], received {self.alpha}")
        weights = {name: value for name, value in asdict(self).items() if name != "alpha"}
        for name, value in weights.items():
            if value < 0:
                raise ConfigError(f"loss weight {name} must be >= 0, received {value}")
        if not any(weights.values()):
            raise ConfigError("expected at least one loss term with a weight, received none")


_CHOICES = {
    "sampling": get_args(Sampling),
    "precision": get_args(Precision),
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
}


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
    sampling: Sampling = "augmented"
    """``augmented``, or ``paper``: see `ladle_rt.training.samples`."""
    steps: int = 4000
    """Optimiser steps."""
    epochs: int | None = None
    """Passes over the pairs, counted when they are read; replaces ``steps`` where it is set."""
    batch: int = 8
    """Samples per step, over all processes."""
    precision: Precision = "fp32"
    """Arithmetic of the forward pass; weights, loss and optimiser stay in fp32."""
    optimizer: Optimizer = "adamw"
    """AdamW, or Adam; the published code takes Adam with AMSGrad."""
    schedule: Schedule = "one-cycle"
    """Linear warm-up and cosine decay to zero, or a constant rate."""
    learning_rate: float = 2e-3
    """Peak of the schedule."""
    warmup: int = 200
    """Steps of linear warm-up."""
    weight_decay: float = 1e-2
    """Weight decay, decoupled in AdamW."""
    ema: float = 0.998
    """Decay of the averaged weights that are validated and exported; 0 switches it off."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss terms."""
    handle_weights: str | None = None
    """Where a LadleNet+ Handle starts from: ``imagenet`` (a packaged encoder) or a file."""
    encoder_rate: float = 1.0
    """Learning rate of a LadleNet+ Handle's encoder, relative to the rest: below 1 keeps more of
    what it was pretrained with."""
    freeze_handle: bool = False
    """Train the Bowl only."""
    teacher: Path | None = None
    """Model (.safetensors) whose output the ``distill`` loss compares with."""
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
        for name in ("steps", "epochs", "batch", "checkpoint_every", "validate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be >= 1, received {value}")
        if len(self.crop) != 2 or min(self.crop) < 1:
            raise ConfigError(f"crop must be two sides >= 1, received {self.crop}")
        for name, kinds in _CHOICES.items():
            if getattr(self, name) not in kinds:
                raise ConfigError(
                    f"{name} must be one of {kinds}, received {getattr(self, name)!r}"
                )
        for name in ("warmup", "workers", "weight_decay", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be >= 0, received {getattr(self, name)}")
        for name in ("learning_rate", "encoder_rate"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be > 0, received {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema must be in [0, 1), received {self.ema}")
        if (self.loss.distill > 0) != (self.teacher is not None):
            raise ConfigError(
                "a teacher and the loss weight distill go together, "
                f"received teacher {self.teacher} and distill {self.loss.distill}"
            )
        loss = self.loss
        structural = loss.published * loss.alpha + loss.ssim + loss.distill > 0
        if structural and min(self.crop) < MIN_CROP:
            raise ConfigError(
                f"MS-SSIM needs crops of at least {MIN_CROP}x{MIN_CROP}, "
                f"received {self.crop[0]}x{self.crop[1]}"
            )
        if self.sampling == "paper":
            self._check_paper_sampling()

    def _check_paper_sampling(self) -> None:
        if self.crop[0] > PAPER_SIZE[0] or self.crop[1] > PAPER_SIZE[1]:
            raise ConfigError(
                f"sampling paper crops frames of {PAPER_SIZE[0]}x{PAPER_SIZE[1]}, "
                f"received a crop of {self.crop[0]}x{self.crop[1]}"
            )
        if any(spec.kind != "scene" for spec in self.data):
            raise ConfigError("sampling paper takes data of kind scene, received mosaic")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; two runs with equal values are the same run."""
        values: dict[str, Any] = _plain(asdict(self))
        return values


def config_from_values(values: Mapping[str, Any], data_root: Path = Path()) -> TrainConfig:
    """Build a configuration from nested plain values, as TOML or a checkpoint holds them.

    Raises:
        ConfigError: unknown keys or values of the wrong kind or out of range.
    """
    config = from_values(TrainConfig, {"data": (), **values}, "recipe")
    validation = config.validation
    return replace(
        config,
        data=tuple(_below(data_root, spec) for spec in config.data),
        validation=None if validation is None else _below(data_root, validation),
    )


def _below(root: Path, spec: DataSpec) -> DataSpec:
    listed = None if spec.image_list is None else root / spec.image_list
    return replace(spec, path=root / spec.path, image_list=listed)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
