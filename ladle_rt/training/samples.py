"""Training samples: a pure function of (seed, index), so that a resumed run sees the same ones.

Two ways to draw them:

* ``augmented``: a dataset by weight, a pair at random, a random crop, flip, tone and noise; the
  whole frame, resized, validates. Some steps may be at larger sizes, with smaller batches.
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

import numpy as np
import torch
from torch.utils.data import Dataset

from ladle_rt.colour import Rgb
from ladle_rt.datasets import FlatThermalError, Pair, read_visible, subset
from ladle_rt.datasets.look import Grade, measure_set, to_look
from ladle_rt.errors import ConfigError, DatasetError
from ladle_rt.thermal.normalization import normalize
from ladle_rt.training.augment import degrade, jitter_tone, random_box
from ladle_rt.training.camera import another_camera
from ladle_rt.training.data_spec import select_pairs
from ladle_rt.training.pair_reader import Loaded, PairReader
from ladle_rt.training.sample_tensors import Sample, centre, flipped, to_sample
from ladle_rt.training.train_config import PAPER_SIZE, TrainConfig
from ladle_rt.training.unpaired import UnpairedFrames

logger = logging.getLogger("ladle_rt")

MEASURED = 300
"""At most so many object crops, evenly spaced, decide the grade of their dataset."""
LOST_PLACE = 0.1
"""Share of scenes that do not say where in the frame they lie."""
_SIZES = 7919
"""Keeps the draw of a step's size apart from those of its samples."""
_UNPAIRED = 7907
"""The same for footage without a truth."""


class MixedSamples(Dataset[Sample]):
    """Samples of the datasets of a run, and the pairs it validates on.

    Item i is determined by the run's seed and i alone.

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
        self.validation = [pair for spec in config.validation for pair in select_pairs(spec)]
        """The pairs that choose the best weights."""
        self._warn_of_overlap()
        weights = np.array(
            [len(pairs) if spec.weight is None else spec.weight for spec, pairs in self._sets]
        )
        self._shares = weights / weights.sum()
        sides = [max(size[axis] for size in (config.crop, *config.sizes)) for axis in (0, 1)]
        largest = (round(sides[0] * 1.6), round(sides[1] * 1.6))
        self._read = PairReader(
            PAPER_SIZE if config.sampling == "paper" else largest, config.loss.semantics > 0
        )
        self._unpaired = UnpairedFrames(config.unpaired, largest) if config.unpaired else None
        self._grades: dict[int, Grade] = {}
        self._order = (-1, np.zeros(0, np.int64))
        self._flat: set[Pair] = set()
        # What is wrong with a whole dataset shows before the run's folder is made.
        for number, (_, pairs) in enumerate(self._sets):
            self._first_usable(pairs, number)
        total = len(self._all)
        if config.batch > total:
            raise ConfigError(
                f"batch must be at most the {total} pairs at hand, received {config.batch}"
            )
        self.steps = config.steps
        """Steps of the run: `TrainConfig.steps`, or what its epochs take, rounded up."""
        if config.epochs is not None:
            self.steps = -(-config.epochs * total // config.batch)

    def indices(self, step: int) -> range:
        """Samples of the step that follows ``step`` others, over all processes."""
        start = step * self._config.batch
        return range(start, start + batch_at(self._config, self.size(step)))

    def size(self, step: int) -> tuple[int, int]:
        """Height and width of that step's samples."""
        config = self._config
        if not config.sizes:
            return config.crop
        rng = np.random.default_rng([config.seed, _SIZES, step])
        if rng.random() >= config.size_share:
            return config.crop
        return config.sizes[int(rng.integers(len(config.sizes)))]

    def counts(self) -> dict[str, int]:
        """Pairs by dataset folder."""
        return {str(spec.path): len(pairs) for spec, pairs in self._sets}

    def describe(self, index: int) -> str:
        """The thermal files that sample ``index`` is made of, to find bad data by."""
        return ", ".join(self._compose(index)[1])

    def __len__(self) -> int:
        return self.steps * self._config.batch

    def __getitem__(self, index: int) -> Sample:
        return self._compose(index)[0]

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

    def _compose(self, index: int) -> tuple[Sample, list[str]]:
        """A sample, and the thermal files behind it."""
        if self._config.sampling == "paper":
            return self._compose_plain(index)
        config = self._config
        size = self.size(index // config.batch)
        rng = np.random.default_rng([config.seed, index])
        number = int(rng.choice(len(self._sets), p=self._shares))
        spec, pairs = self._sets[number]
        names: list[str] = []

        def draw() -> Loaded:
            start, count = int(rng.integers(len(pairs))), len(pairs)
            candidates = (pairs[(start + i) % count] for i in range(count))
            pair, loaded = self._first_usable(candidates, number)
            names.append(str(pair.thermal))
            return loaded

        rows = (0.0, 1.0)
        if spec.kind == "scene":
            whole = draw()
            box = random_box(whole.thermal.shape[0], whole.thermal.shape[1], rng)
            loaded = whole.part(box, size)
            rows = (box[0] / len(whole.thermal), (box[0] + box[2]) / len(whole.thermal))
        else:
            loaded = mosaic(draw, size, rng)
        flips = rng.random() < 0.5
        unit = normalize(loaded.thermal, config.thermal)
        if config.augment == "strong":
            unit = another_camera(unit, rng)
            if spec.kind != "scene" or rng.random() < LOST_PLACE:
                first, last = sorted(rng.uniform(0, 1, 2))
                rows = (float(first), float(last))
        else:
            unit = degrade(jitter_tone(unit, rng), rng)
        sample = to_sample(unit, loaded, rows, spec.kind == "scene")
        sample = flipped(sample) if flips else sample
        if self._unpaired is not None:
            rng = np.random.default_rng([config.seed, _UNPAIRED, index])
            unit, rows = self._unpaired.augmented(size, config.thermal, rng)
            sample = sample._replace(
                unpaired=torch.from_numpy(unit[None]), unpaired_rows=torch.tensor(rows)
            )
        return sample, names

    def _compose_plain(self, index: int) -> tuple[Sample, list[str]]:
        config = self._config
        epoch, start = divmod(index, len(self._all))
        if self._order[0] != epoch:
            order = np.random.default_rng([config.seed, epoch]).permutation(len(self._all))
            self._order = (epoch, order)
        positions = np.roll(self._order[1], -start)
        candidates = (self._all[position] for position in positions)
        pair, loaded = self._first_usable(candidates, None)
        return centre(loaded, config.crop, config.thermal), [str(pair.thermal)]

    def _first_usable(self, candidates: Iterable[Pair], number: int | None) -> tuple[Pair, Loaded]:
        """The first pair, of dataset ``number``, whose thermal image shows something."""
        last: Pair | None = None
        for last in candidates:
            if last in self._flat:
                continue
            try:
                return last, self._read(last, lambda rgb: self._grade(rgb, number))
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

    def _grade(self, rgb: Rgb, number: int | None) -> Rgb:
        look = self._config.look
        if look == "none" or number is None or self._sets[number][0].kind == "scene":
            return to_look(rgb, look)
        if number not in self._grades:
            self._grades[number] = _set_grade(self._sets[number][1])
        return self._grades[number](rgb)


def batch_at(config: TrainConfig, size: tuple[int, int]) -> int:
    """Samples in a batch of one size, over all processes: about as many pixels as of ``crop``.

    At least two, where there are: statistics over a batch need company.
    """
    fitting = round(config.batch * config.crop[0] * config.crop[1] / (size[0] * size[1]))
    return min(config.batch, max(2, fitting))


def _set_grade(pairs: Sequence[Pair]) -> Grade:
    chosen = subset(pairs, min(MEASURED, len(pairs)))
    return measure_set([read_visible(pair.visible) for pair in chosen])


def mosaic(draw: Callable[[], Loaded], size: tuple[int, int], rng: np.random.Generator) -> Loaded:
    """Tile object crops into one sample of ``size``, without labels.

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
            crop = draw()
            hot = crop.thermal
            tile_width = max(16, round(hot.shape[1] * (bottom - top) / hot.shape[0]))
            tile = crop.part((0, 0, *hot.shape), (int(bottom - top), tile_width))
            right = min(left + tile_width, width)
            thermal[top:bottom, left:right] = tile.thermal[:, : right - left]
            visible[top:bottom, left:right] = tile.visible[:, : right - left]
            left = right
    return Loaded(thermal, visible, None)
