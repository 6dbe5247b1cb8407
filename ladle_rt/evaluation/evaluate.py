"""Evaluate models on pairs, with the trivial baselines beside them.

Metrics of record: the whole frame, thermal and truth both brought to 256x192 by INTER_AREA,
the model run at that size, mean over images.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets import Pair, read_pair, read_visible
from ladle_rt.device import usable_cores
from ladle_rt.errors import ConfigError, DatasetError, InputError
from ladle_rt.evaluation.contestant import SIZE, Contestant
from ladle_rt.evaluation.metrics import compare_rows
from ladle_rt.evaluation.report import Example, Report
from ladle_rt.frames import ThermalPixels
from ladle_rt.metrics.similarity import Image
from ladle_rt.thermal.normalization import ThermalNormalization, normalize

logger = logging.getLogger("ladle_rt")

MEAN_COLOUR_PAIRS = 1000
"""At most so many pairs, evenly spaced, make the mean-colour baseline; KAIST has 50,000."""
BASELINES = ("mean colour", "grey copy", "inverted grey")


def evaluate(
    contestants: Sequence[Contestant],
    pairs: Sequence[Pair],
    colour_pairs: Sequence[Pair] = (),
    watch: Callable[[Sequence[Pair]], Iterable[Pair]] = iter,
) -> Report:
    """Score models and the baselines on the same pairs.

    Args:
        contestants: the models, each with its own thermal normalisation. The grey copies are
            the first one's input.
        pairs: what to evaluate on.
        colour_pairs: pairs whose mean colour is a baseline, those trained on; where there are
            none, the evaluated pairs themselves, which flatters that baseline.
        watch: hands the pairs on one by one, to show how far the evaluation is.

    Raises:
        ConfigError: no model, or two of one name.
        DatasetError: no pair could be scored.
        ModelError: an output that is not finite.
    """
    names = [contestant.name for contestant in contestants]
    if not names or len({*names, *BASELINES}) < len(names) + len(BASELINES):
        raise ConfigError(
            f"models need names of their own, other than {BASELINES}, received {names}"
        )
    trained_on = _colours(colour_pairs)
    colours = trained_on or _colours(pairs)
    mean_colour = np.mean(colours, axis=0) if colours else np.zeros(3)
    flat = np.ascontiguousarray(np.broadcast_to(mean_colour.astype(np.float32), (*SIZE, 3)))
    failures: list[str] = []
    examples = []
    with ThreadPoolExecutor(usable_cores()) as pool:
        for pair in watch(pairs):
            try:
                thermal, truth = read_small(pair)
            except (InputError, DatasetError) as error:
                failures.append(str(error))
                continue
            rows = pictures(contestants, thermal, pair.name)
            grey = _grey(thermal, contestants[0].thermal)
            rows.update(zip(BASELINES, (flat, grey, 1 - grey), strict=True))
            examples.append(Example(pair, compare_rows(rows, truth, pool)))
    if not examples:
        first = failures[0] if failures else "the set is empty"
        raise DatasetError(f"none of {len(pairs)} pairs could be scored: {first}")
    origin = f"{len(colours)} training pairs" if trained_on else "the evaluated pairs themselves"
    return Report(names, examples, origin, failures)


def pictures(
    contestants: Sequence[Contestant], thermal: ThermalPixels, place: str
) -> dict[str, Image]:
    """Every model's picture of one frame, by name: HxWx3 float32 RGB in [0,1].

    Args:
        contestants: the models; each gets the frame by its own normalisation.
        thermal: HxW uint8 or uint16 counts at comparison size.
        place: what to call the frame in messages.

    Raises:
        ModelError: an output that is not finite.
    """
    inputs: dict[ThermalNormalization, npt.NDArray[np.float32]] = {}
    result = {}
    for contestant in contestants:
        if contestant.thermal not in inputs:
            inputs[contestant.thermal] = normalize(thermal, contestant.thermal)
        result[contestant.name] = contestant.picture(inputs[contestant.thermal], place)
    return result


def read_small(pair: Pair) -> tuple[ThermalPixels, Image]:
    """One pair at comparison size: thermal counts, and the truth as RGB in [0,1].

    Raises:
        InputError: an image that is missing or does not decode.
        DatasetError: images of two aspect ratios, or a thermal image of one value.
    """
    thermal, visible = read_pair(pair)
    small: Any = cv2.resize(thermal, SIZE[::-1], interpolation=cv2.INTER_AREA)
    return small, _truth(visible)


def _grey(thermal: ThermalPixels, spec: ThermalNormalization) -> Image:
    return np.repeat(normalize(thermal, spec)[..., None], 3, axis=2)


def _colours(pairs: Sequence[Pair]) -> list[npt.NDArray[np.float32]]:
    """Mean RGB of each truth that can be read, of at most `MEAN_COLOUR_PAIRS`."""
    colours = []
    for pair in pairs[:: math.ceil(len(pairs) / MEAN_COLOUR_PAIRS) or 1]:
        try:
            visible = read_visible(pair.visible)
        except InputError as error:
            logger.warning("%s; left out of the mean colour", error)
            continue
        colours.append(_truth(visible).mean(axis=(0, 1)))
    return colours


def _truth(visible: npt.NDArray[np.uint8]) -> Image:
    small = cv2.resize(visible, SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)
