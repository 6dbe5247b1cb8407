"""What a training run is, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ladle_rt.datasets.look import LOOKS, Look
from ladle_rt.errors import ConfigError
from ladle_rt.structure import structure, to_plain
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.training.data_spec import DataSpec, UnpairedSpec
from ladle_rt.training.loss_config import LossConfig
from ladle_rt.training.phases import Phase, PhaseKind

MIN_CROP = 176
"""MS-SSIM of five scales with an 11-pixel window needs sides of at least (11 - 1) * 2**4 + 16."""

PAPER_SIZE = (300, 400)
"""Height and width to which the published code resizes frames before it crops their centre."""

Precision = Literal["fp32", "bf16", "fp16"]
Optimizer = Literal["adamw", "adam"]
Schedule = Literal["one-cycle", "constant"]
Sampling = Literal["augmented", "paper"]
Augment = Literal["standard", "strong"]


_CHOICES = {
    "sampling": get_args(Sampling),
    "augment": get_args(Augment),
    "look": LOOKS,
    "precision": get_args(Precision),
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
}


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run."""

    data: tuple[DataSpec, ...]
    """Datasets to train on, mixed by weight."""
    validation: tuple[DataSpec, ...] = ()
    """Pairs for choosing the best checkpoint; never trained on."""
    unpaired: tuple[UnpairedSpec, ...] = ()
    """Thermal footage without a truth, for the loss weight of that name."""
    look: Look = "none"
    """What every truth is graded to; see `ladle_rt.datasets.look`."""
    architecture: str = "ladlenet"
    """Name in the model registry."""
    preset: str = "compact"
    """Preset of that architecture."""
    crop: tuple[int, int] = (192, 256)
    """Height and width of the training samples, pixels; validation too is at this size."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Further sizes to train at, in batches of about as many pixels."""
    size_share: float = 0.3
    """Share of the steps at ``sizes``, in equal parts."""
    sampling: Sampling = "augmented"
    """``augmented``, or ``paper``: see `ladle_rt.training.samples`."""
    augment: Augment = "standard"
    """How far augmented frames go: ``strong`` as far as cameras differ, `training.camera`."""
    steps: int = 4000
    """Optimiser steps; with ``phases``, their sum, and to be left out."""
    phases: tuple[Phase, ...] = ()
    """Parts of the run, `ladle_rt.training.phases`; none: one, of all steps and terms."""
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
    discriminator_rate: float | None = None
    """Constant learning rate of the discriminator; the network's peak unless given."""
    clip_norm: float | None = None
    """Largest norm of the network's gradients; longer ones are shortened to it."""
    weight_decay: float = 1e-2
    """Weight decay, decoupled in AdamW."""
    ema: float = 0.998
    """Decay of the averaged weights that are validated and exported; 0 switches it off."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss terms."""
    init: Path | None = None
    """Model (.safetensors) of the same architecture whose weights to start from."""
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
        for name in ("learning_rate", "encoder_rate", "discriminator_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name} must be > 0, received {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema must be in [0, 1), received {self.ema}")
        if (self.loss.distill > 0) != (self.teacher is not None):
            raise ConfigError(
                "a teacher and the loss weight distill go together, "
                f"received teacher {self.teacher} and distill {self.loss.distill}"
            )
        if (self.loss.unpaired > 0) != bool(self.unpaired):
            raise ConfigError(
                "[[unpaired]] footage and the loss weight unpaired go together, received "
                f"{len(self.unpaired)} and {self.loss.unpaired}"
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
        self._check_phases()
        self._check_sizes()

    @property
    def parts(self) -> tuple[Phase, ...]:
        """The phases with what the run says filled in; one for a run without any.

        Epochs are not counted: `training.run` knows how many steps they take.
        """
        whole: PhaseKind = "adversarial" if self.loss.adversarial > 0 else "regression"
        phases = self.phases or (Phase(whole, self.steps, warmup=self.warmup),)
        return tuple(
            replace(
                phase,
                learning_rate=phase.learning_rate or self.learning_rate,
                warmup=self.warmup if phase.warmup is None else phase.warmup,
            )
            for phase in phases
        )

    def _check_phases(self) -> None:
        total = sum(phase.steps for phase in self.phases)
        if not self.phases:
            return
        if self.steps != total or self.epochs is not None:
            raise ConfigError(
                f"phases add up to {total} steps; expected steps to be that or left out, and no "
                f"epochs, received {self.steps} and {self.epochs}"
            )
        kinds = {phase.kind for phase in self.phases}
        if (self.loss.adversarial > 0) != ("adversarial" in kinds):
            raise ConfigError(
                "an adversarial phase and the loss weight adversarial go together, received "
                f"phases {sorted(kinds)} and adversarial {self.loss.adversarial}"
            )
        if "discriminator" in kinds and "adversarial" not in kinds:
            raise ConfigError("a discriminator phase needs an adversarial one, received none")

    def _check_sizes(self) -> None:
        if not 0 <= self.size_share <= 1:
            raise ConfigError(f"size_share must be in [0, 1], received {self.size_share}")
        if self.sizes and self.sampling == "paper":
            raise ConfigError("sampling paper has one size, received sizes")
        small = [size for size in self.sizes if min(size) < min(self.crop)]
        if small:
            raise ConfigError(
                f"sizes must be no smaller than crop {self.crop}, received {small[0]}"
            )

    def _check_paper_sampling(self) -> None:
        if self.crop[0] > PAPER_SIZE[0] or self.crop[1] > PAPER_SIZE[1]:
            raise ConfigError(
                f"sampling paper crops frames of {PAPER_SIZE[0]}x{PAPER_SIZE[1]}, "
                f"received a crop of {self.crop[0]}x{self.crop[1]}"
            )
        if self.unpaired:
            raise ConfigError("sampling paper takes no unpaired footage, received some")
        if any(spec.kind != "scene" for spec in self.data):
            raise ConfigError("sampling paper takes data of kind scene, received mosaic")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; two runs with equal values are the same run."""
        values: dict[str, Any] = to_plain(asdict(self))
        return values


def config_from_values(values: Mapping[str, Any], data_root: Path = Path()) -> TrainConfig:
    """Build a configuration from nested plain values, as TOML or a checkpoint holds them.

    Raises:
        ConfigError: unknown keys or values of the wrong kind or out of range.
    """
    values = {"data": (), **values}
    # One table, or several.
    if isinstance(values.get("validation"), Mapping):
        values["validation"] = (values["validation"],)
    phases = values.get("phases")
    if isinstance(phases, (list, tuple)) and phases and "steps" not in values:
        values["steps"] = sum(_steps(phase) for phase in phases)
    config = structure(TrainConfig, values, "recipe", ConfigError)
    return replace(
        config,
        data=tuple(_below(data_root, spec) for spec in config.data),
        validation=tuple(_below(data_root, spec) for spec in config.validation),
        unpaired=tuple(replace(spec, path=data_root / spec.path) for spec in config.unpaired),
    )


def _steps(phase: Any) -> int:
    """Of a phase that may yet turn out to be none."""
    steps = phase.get("steps") if isinstance(phase, Mapping) else getattr(phase, "steps", 0)
    return steps if isinstance(steps, int) else 0


def _below(root: Path, spec: DataSpec) -> DataSpec:
    listed = None if spec.image_list is None else root / spec.image_list
    return replace(spec, path=root / spec.path, image_list=listed)
