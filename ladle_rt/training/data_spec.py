"""Which data a training run takes: pairs, and thermal footage without a truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ladle_rt.datasets import Pair, find_pairs, subset
from ladle_rt.errors import ConfigError, DatasetError

SampleKind = Literal["scene", "mosaic"]


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
    drives: tuple[str, ...] = ()
    """Keep only the pairs of these drives; empty keeps all."""
    exclude_drives: tuple[str, ...] = ()
    """Leave out the pairs of these drives."""
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
class UnpairedSpec:
    """Thermal footage without a truth; see `ladle_rt.training.unpaired`."""

    path: Path
    """A folder of thermal images and videos."""
    frames: int = 60
    """At most so many images of the folder, and frames of each video, evenly spaced."""
    exclude: tuple[str, ...] = ()
    """Leave out the files with these names, without their ending."""
    weight: float = 1.0
    """Share of the frames, relative to the other specs' weights."""
    terms: str = ""
    """Terms stated at the data's origin; published with the model."""

    def __post_init__(self) -> None:
        if self.weight <= 0 or self.frames < 1:
            raise ConfigError(
                f"unpaired weight must be > 0 and frames >= 1, received {self.weight} and "
                f"{self.frames} for {self.path}"
            )


def select_pairs(spec: DataSpec) -> list[Pair]:
    """The pairs that one `DataSpec` names.

    Raises:
        DatasetError: nothing left after the filters.
    """
    optional = spec.split is not None and spec.split.endswith("?")
    split = None if optional else spec.split
    pairs = find_pairs(spec.path, spec.layout, split, spec.image_list)
    if optional and spec.split is not None:
        pairs = [pair for pair in pairs if pair.split == spec.split[:-1]] or pairs
    pairs = [
        pair
        for pair in pairs
        if (not spec.lights or pair.light in spec.lights)
        and (not spec.include or _named(pair, spec.include))
        and not _named(pair, spec.exclude)
        and (not spec.drives or pair.sequence in spec.drives)
        and pair.sequence not in spec.exclude_drives
    ]
    if not pairs:
        raise DatasetError(
            f"{spec.path}: no pair left after lights {spec.lights}, include {spec.include}, drives "
            f"{spec.drives} and {len(spec.exclude) + len(spec.exclude_drives)} excluded"
        )
    return pairs if spec.subset is None else subset(pairs, spec.subset)


def _named(pair: Pair, names: Sequence[str]) -> bool:
    return any(pair.name == name or pair.name.startswith(f"{name}/") for name in names)
