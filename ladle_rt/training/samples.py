"""Training samples: a pure function of (seed, index), so that a resumed run sees the same ones.

Two ways to draw them:

* ``augmented``: a dataset by weight, a pair at random, a random crop, flip, tone and noise; the
  whole frame, resized, validates.
* ``paper``: every pair once per epoch in an order of the epoch's own; frames are resized to
  300x400 whatever their aspect ratio, and the centre is cut out, for validation too. That is all
  the published code does (arXiv 2308.06603), except that its thermal images are not normalised;
  here they are, over the whole frame as at run time. Weights of the datasets play no part.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ladle_rt.datasets import FlatThermalError, Pair, find_pairs, read_pair, subset
from ladle_rt.errors import ConfigError, DatasetError
from ladle_rt.frames import ThermalPixels
from ladle_rt.thermal.normalization import ThermalNormalization, normalize
from ladle_rt.training.augment import crop_and_resize, degrade, jitter_tone, random_box
from ladle_rt.training.config import PAPER_SIZE, DataSpec, TrainConfig

logger = logging.getLogger("ladle_rt")

Loaded = tuple[ThermalPixels, npt.NDArray[np.uint8]]

CACHE_BYTES = 1 << 30
"""Decoded pairs kept per process; beyond it a pair is read from disk each time."""


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
    ]
    if not pairs:
        raise DatasetError(
            f"{spec.path}: no pair left after lights {spec.lights}, include {spec.include} and "
            f"{len(spec.exclude)} excluded"
        )
    return pairs if spec.subset is None else subset(pairs, spec.subset)


def _named(pair: Pair, names: Sequence[str]) -> bool:
    return any(pair.name == name or pair.name.startswith(f"{name}/") for name in names)


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
        thermal, visible = read_pair(pair)
        height = min(thermal.shape[0], self._max_size[0])
        width = min(thermal.shape[1], self._max_size[1])
        loaded = crop_and_resize(thermal, visible, (0, 0, *thermal.shape), (height, width))
        size = loaded[0].nbytes + loaded[1].nbytes
        if self._bytes + size <= CACHE_BYTES:
            self._cache[pair] = loaded
            self._bytes += size
        return loaded


class MixedSamples(Dataset[tuple[Tensor, Tensor]]):
    """Samples of the datasets of a run, and the pairs it validates on.

    Item i is ``(thermal float32 [1,H,W] in [0,1], visible float32 [3,H,W] RGB in [0,1])``,
    determined by the run's seed and i alone.

    A pair whose thermal image is flat teaches nothing: the next one takes its place, every
    time, and the first one met is warned of.

    Raises:
        ConfigError: a batch larger than the number of pairs.
        DatasetError: a dataset without usable pairs.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._sets = [(spec, select_pairs(spec)) for spec in config.data]
        self._all = [pair for _, pairs in self._sets for pair in pairs]
        self.validation = select_pairs(config.validation) if config.validation else []
        """The pairs that choose the best weights."""
        self._warn_of_overlap()
        weights = np.array(
            [len(pairs) if spec.weight is None else spec.weight for spec, pairs in self._sets]
        )
        self._shares = weights / weights.sum()
        largest = (round(config.crop[0] * 1.6), round(config.crop[1] * 1.6))
        self._read = PairReader(PAPER_SIZE if config.sampling == "paper" else largest)
        self._order = (-1, np.zeros(0, np.int64))
        self._flat: set[Pair] = set()
        # What is wrong with a whole dataset shows before the run's folder is made.
        for _, pairs in self._sets:
            self._first_usable(pairs)
        total = len(self._all)
        if config.batch > total:
            raise ConfigError(
                f"batch must be at most the {total} pairs at hand, received {config.batch}"
            )
        self.steps = config.steps
        """Steps of the run: `TrainConfig.steps`, or what its epochs take, rounded up."""
        if config.epochs is not None:
            self.steps = -(-config.epochs * total // config.batch)

    def counts(self) -> dict[str, int]:
        """Pairs by dataset folder."""
        return {str(spec.path): len(pairs) for spec, pairs in self._sets}

    def describe(self, index: int) -> str:
        """The thermal files that sample ``index`` is made of, to find bad data by."""
        return ", ".join(self._compose(index)[2])

    def __len__(self) -> int:
        return self.steps * self._config.batch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        thermal, visible, _ = self._compose(index)
        return to_tensors(thermal, visible)

    def _warn_of_overlap(self) -> None:
        if not self.validation:
            return
        trained = {os.path.abspath(pair.thermal) for pair in self._all}
        shared = sum(os.path.abspath(pair.thermal) in trained for pair in self.validation)
        if shared:
            logger.warning(
                "%d of the %d validation pairs are trained on too: their scores will flatter",
                shared,
                len(self.validation),
            )

    def _compose(
        self, index: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], list[str]]:
        """Network input HxW in [0,1], truth HxWx3 and the thermal files behind them."""
        if self._config.sampling == "paper":
            return self._compose_plain(index)
        config = self._config
        rng = np.random.default_rng([config.seed, index])
        spec, pairs = self._sets[int(rng.choice(len(self._sets), p=self._shares))]
        names: list[str] = []

        def draw() -> Loaded:
            start, count = int(rng.integers(len(pairs))), len(pairs)
            pair, loaded = self._first_usable(pairs[(start + i) % count] for i in range(count))
            names.append(str(pair.thermal))
            return loaded

        if spec.kind == "scene":
            thermal, visible = draw()
            box = random_box(thermal.shape[0], thermal.shape[1], rng)
            thermal, visible = crop_and_resize(thermal, visible, box, config.crop)
        else:
            thermal, visible = mosaic(draw, config.crop, rng)
        if rng.random() < 0.5:
            thermal, visible = thermal[:, ::-1], visible[:, ::-1]
        unit = degrade(jitter_tone(normalize(thermal, config.thermal), rng), rng)
        return unit, visible, names

    def _compose_plain(
        self, index: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], list[str]]:
        config = self._config
        epoch, start = divmod(index, len(self._all))
        if self._order[0] != epoch:
            order = np.random.default_rng([config.seed, epoch]).permutation(len(self._all))
            self._order = (epoch, order)
        positions = np.roll(self._order[1], -start)
        pair, loaded = self._first_usable(self._all[position] for position in positions)
        return *_centre(*loaded, config.crop, config.thermal), [str(pair.thermal)]

    def _first_usable(self, candidates: Iterable[Pair]) -> tuple[Pair, Loaded]:
        """The first pair whose thermal image shows something."""
        last: Pair | None = None
        for last in candidates:
            if last in self._flat:
                continue
            try:
                return last, self._read(last)
            except FlatThermalError:
                if not self._flat:
                    logger.warning(
                        "%s: all pixels of this thermal image are equal; the next pair takes its "
                        "place, and so with all others like it",
                        last.thermal,
                    )
                self._flat.add(last)
        assert last is not None
        raise DatasetError(
            f"{last.thermal.parent}: expected thermal images, received only ones whose pixels are "
            "all equal"
        )


def mosaic(draw: Callable[[], Loaded], size: tuple[int, int], rng: np.random.Generator) -> Loaded:
    """Tile object crops into one sample of ``size``.

    Rows of equal height are filled from the left with crops at their own aspect ratio.

    Args:
        draw: gives the next crop.
        size: height and width of the sample, pixels.
        rng: decides the number of rows.
    """
    height, width = size
    rows = int(rng.integers(1, 4))
    edges = np.linspace(0, height, rows + 1).round().astype(int)
    thermal = np.zeros((height, width), np.uint8)
    visible = np.zeros((height, width, 3), np.uint8)
    for top, bottom in pairwise(edges):
        left = 0
        while left < width:
            hot, seen = draw()
            tile_width = max(16, round(hot.shape[1] * (bottom - top) / hot.shape[0]))
            hot, seen = crop_and_resize(
                hot, seen, (0, 0, *hot.shape), (int(bottom - top), tile_width)
            )
            right = min(left + tile_width, width)
            thermal[top:bottom, left:right] = hot[:, : right - left]
            visible[top:bottom, left:right] = seen[:, : right - left]
            left = right
    return thermal, visible


def validation_frame(pair: Pair, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """A pair as the run validates on it, of size ``config.crop``, without augmentation.

    Raises:
        DatasetError: a pair of two aspect ratios or a flat thermal image.
    """
    if config.sampling == "paper":
        return to_tensors(*_centre(*read_pair(pair), config.crop, config.thermal))
    return whole_frame(pair, config.crop, config.thermal)


def whole_frame(
    pair: Pair, size: tuple[int, int], spec: ThermalNormalization
) -> tuple[Tensor, Tensor]:
    """A pair without augmentation, the whole frame resized to ``size`` by INTER_AREA."""
    thermal, visible = read_pair(pair)
    target = (size[1], size[0])
    small = cv2.resize(thermal, target, interpolation=cv2.INTER_AREA)
    truth = cv2.resize(visible, target, interpolation=cv2.INTER_AREA)
    return to_tensors(normalize(small, spec), truth)  # type: ignore[arg-type]


def _centre(
    thermal: ThermalPixels,
    visible: npt.NDArray[np.uint8],
    crop: tuple[int, int],
    spec: ThermalNormalization,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """The published preparation: resize to 300x400, cut out the centre."""
    if thermal.shape != PAPER_SIZE:
        thermal, visible = crop_and_resize(thermal, visible, (0, 0, *thermal.shape), PAPER_SIZE)
    top, left = ((whole - part) // 2 for whole, part in zip(PAPER_SIZE, crop, strict=True))
    window = np.s_[top : top + crop[0], left : left + crop[1]]
    return normalize(thermal, spec)[window], visible[window]


def to_tensors(
    thermal: npt.NDArray[np.float32], visible: npt.NDArray[np.uint8]
) -> tuple[Tensor, Tensor]:
    """HxW float32 and HxWx3 uint8 to [1,H,W] and [3,H,W] float32, both in [0,1]."""
    rgb = np.ascontiguousarray(visible.transpose(2, 0, 1))
    return (
        torch.from_numpy(np.ascontiguousarray(thermal)[None]),
        torch.from_numpy(rgb).float() / 255,
    )
