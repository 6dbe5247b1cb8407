"""Training samples: a pure function of (seed, index), so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ladle_rt.datasets import Pair, find_pairs, read_thermal, read_visible
from ladle_rt.errors import ConfigError, DatasetError
from ladle_rt.frames import ThermalPixels
from ladle_rt.thermal.normalization import ThermalNormalization, normalize
from ladle_rt.training.augment import crop_and_resize, degrade, jitter_tone, random_box
from ladle_rt.training.config import DataSpec, TrainConfig

Loaded = tuple[ThermalPixels, npt.NDArray[np.uint8]]

CACHE_BYTES = 1 << 30
"""Decoded pairs kept per process; beyond it a pair is read from disk each time."""


def select_pairs(spec: DataSpec) -> list[Pair]:
    """The pairs that one `DataSpec` names.

    Raises:
        DatasetError: nothing left after the filters.
    """
    pairs = [
        pair
        for pair in find_pairs(spec.path, spec.layout, spec.split, spec.image_list)
        if (not spec.lights or pair.light in spec.lights) and pair.name not in spec.exclude
    ]
    if not pairs:
        raise DatasetError(
            f"{spec.path}: no pair left after lights {spec.lights} and {len(spec.exclude)} excluded"
        )
    return pairs


class PairReader:
    """Reads pairs at no more than a given size and remembers them.

    Pairs of unequal size are brought to the thermal image's size.
    """

    def __init__(self, max_size: tuple[int, int]) -> None:
        self._max_size = max_size
        self._cache: dict[Pair, Loaded] = {}
        self._bytes = 0

    def __call__(self, pair: Pair) -> Loaded:
        """Thermal HxW uint8 or uint16 and visible HxWx3 uint8 RGB; not to be written to."""
        if pair in self._cache:
            return self._cache[pair]
        thermal, visible = read_thermal(pair.thermal), read_visible(pair.visible)
        height = min(thermal.shape[0], self._max_size[0])
        width = min(thermal.shape[1], self._max_size[1])
        loaded = crop_and_resize(
            thermal, _to_shape(visible, thermal.shape), (0, 0, *thermal.shape), (height, width)
        )
        size = loaded[0].nbytes + loaded[1].nbytes
        if self._bytes + size <= CACHE_BYTES:
            self._cache[pair] = loaded
            self._bytes += size
        return loaded


class MixedSamples(Dataset[tuple[Tensor, Tensor]]):
    """Samples drawn from several datasets by weight.

    Item i is ``(thermal float32 [1,H,W] in [0,1], visible float32 [3,H,W] RGB in [0,1])``,
    determined by the run's seed and i alone.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._seed = config.seed
        self._crop = config.crop
        self._thermal = config.thermal
        self._length = config.steps * config.batch
        self._sets = [(spec, select_pairs(spec)) for spec in config.data]
        weights = np.array([spec.weight for spec in config.data])
        self._shares = weights / weights.sum()
        self._read = PairReader((round(config.crop[0] * 1.6), round(config.crop[1] * 1.6)))
        total = sum(len(pairs) for _, pairs in self._sets)
        if config.batch > total:
            raise ConfigError(
                f"batch must be at most the {total} pairs at hand, received {config.batch}"
            )

    def counts(self) -> dict[str, int]:
        """Pairs by dataset folder."""
        return {str(spec.path): len(pairs) for spec, pairs in self._sets}

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self._seed, index])
        spec, pairs = self._sets[int(rng.choice(len(self._sets), p=self._shares))]
        if spec.kind == "scene":
            thermal, visible = self._read(pairs[int(rng.integers(len(pairs)))])
            box = random_box(thermal.shape[0], thermal.shape[1], rng)
            thermal, visible = crop_and_resize(thermal, visible, box, self._crop)
        else:
            thermal, visible = mosaic(pairs, self._read, self._crop, rng)
        if rng.random() < 0.5:
            thermal, visible = thermal[:, ::-1], visible[:, ::-1]
        unit = degrade(jitter_tone(normalize(thermal, self._thermal), rng), rng)
        return to_tensors(unit, visible)


def mosaic(
    pairs: Sequence[Pair], read: PairReader, size: tuple[int, int], rng: np.random.Generator
) -> Loaded:
    """Tile random object crops into one sample of ``size``.

    Rows of equal height are filled from the left with crops at their own aspect ratio.
    """
    height, width = size
    rows = int(rng.integers(1, 4))
    edges = np.linspace(0, height, rows + 1).round().astype(int)
    thermal = np.zeros((height, width), np.uint8)
    visible = np.zeros((height, width, 3), np.uint8)
    for top, bottom in pairwise(edges):
        left = 0
        while left < width:
            hot, seen = read(pairs[int(rng.integers(len(pairs)))])
            tile_width = max(16, round(hot.shape[1] * (bottom - top) / hot.shape[0]))
            hot, seen = crop_and_resize(
                hot, seen, (0, 0, *hot.shape), (int(bottom - top), tile_width)
            )
            right = min(left + tile_width, width)
            thermal[top:bottom, left:right] = hot[:, : right - left]
            visible[top:bottom, left:right] = seen[:, : right - left]
            left = right
    return thermal, visible


def whole_frame(
    pair: Pair, size: tuple[int, int], spec: ThermalNormalization
) -> tuple[Tensor, Tensor]:
    """A pair without augmentation, the whole frame resized to ``size`` by INTER_AREA."""
    thermal, visible = read_thermal(pair.thermal), read_visible(pair.visible)
    target = (size[1], size[0])
    small = cv2.resize(thermal, target, interpolation=cv2.INTER_AREA)
    truth = cv2.resize(visible, target, interpolation=cv2.INTER_AREA)
    return to_tensors(normalize(small, spec), truth)  # type: ignore[arg-type]


def to_tensors(
    thermal: npt.NDArray[np.float32], visible: npt.NDArray[np.uint8]
) -> tuple[Tensor, Tensor]:
    """HxW float32 and HxWx3 uint8 to [1,H,W] and [3,H,W] float32, both in [0,1]."""
    rgb = np.ascontiguousarray(visible.transpose(2, 0, 1))
    return (
        torch.from_numpy(np.ascontiguousarray(thermal)[None]),
        torch.from_numpy(rgb).float() / 255,
    )


def _to_shape(visible: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    if visible.shape[:2] == shape[:2]:
        return visible
    return cv2.resize(  # type: ignore[return-value]
        visible, (shape[1], shape[0]), interpolation=cv2.INTER_AREA
    )
