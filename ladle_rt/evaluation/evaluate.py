"""Evaluate models on pairs, with the trivial baselines beside them.

Metrics of record: the whole frame, thermal and truth both brought to 256x192 by INTER_AREA,
the model run at that size, mean over images, against the raw truth. A model that was trained on
graded targets is compared with graded truth as well, the picture as painted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import numpy.typing as npt

from ladle_rt.datasets import Pair
from ladle_rt.datasets.look import Look
from ladle_rt.device import usable_cores
from ladle_rt.errors import ConfigError, DatasetError, InputError
from ladle_rt.evaluation.comparison import GRADED, PAINTED, RAW, Comparison, PerceptualMetric
from ladle_rt.evaluation.eval_model import SIZE, EvalModel
from ladle_rt.evaluation.image_metrics import compare_rows
from ladle_rt.evaluation.pair_images import (
    PairImages,
    graded,
    grey_copy,
    mean_colours,
    read_pair_images,
)
from ladle_rt.evaluation.report import Example, Report
from ladle_rt.evaluation.result import EvaluationResult
from ladle_rt.frames import ThermalPixels
from ladle_rt.similarity import MIN_SIDE, Image
from ladle_rt.thermal.normalization import ThermalNormalization, normalize

BASELINES = ("mean colour", "grey copy", "inverted grey")
KERNEL_PAIRS = 1000
"""At most so many pairs, evenly spaced, are kept for kernel distances: 5 kB for each row."""


def evaluate(
    models: Sequence[EvalModel],
    pairs: Sequence[Pair],
    colour_pairs: Sequence[Pair] = (),
    watch: Callable[[Sequence[Pair]], Iterable[Pair]] = iter,
    *,
    look: Look | Literal["auto"] = "auto",
    size: tuple[int, int] = SIZE,
    perceptual_metric: PerceptualMetric | None = None,
) -> EvaluationResult:
    """Score models and the baselines on the same pairs.

    Args:
        models: the models, each with its own thermal normalisation. The grey copies are
            the first one's input.
        pairs: what to evaluate on.
        colour_pairs: pairs whose mean colour is a baseline, those trained on; where there are
            none, the evaluated pairs themselves, which flatters that baseline.
        watch: hands the pairs on one by one, to show how far the evaluation is.
        look: what the truth is graded to beside the raw one; ``auto``: the look of the first
            model that has one.
        size: height and width of the comparison; every model must take it.
        perceptual_metric: without one there is no perceptual and no kernel distance.

    Raises:
        ConfigError: no model, two of one name, or a size too small for MS-SSIM.
        DatasetError: no pair could be scored.
        ModelError: an output that is not finite.
    """
    _check(models, size)
    names = [model.name for model in models]
    if look == "auto":
        truth_look: Look = next((one.look for one in models if one.look != "none"), "none")
    else:
        truth_look = look
    colours, trained_on = mean_colours(colour_pairs, truth_look)
    seen = trained_on
    if not trained_on:
        colours, seen = mean_colours(pairs, truth_look)
    flats = {kind: _flat(colour, size) for kind, colour in colours.items()}
    pooled_every = math.ceil(len(pairs) / KERNEL_PAIRS) or 1
    failures: list[str] = []
    examples: dict[str, list[Example]] = {}
    with ThreadPoolExecutor(usable_cores()) as pool:
        for number, pair in enumerate(watch(pairs)):
            try:
                frame = read_pair_images(pair, size, truth_look)
            except (InputError, DatasetError) as error:
                failures.append(str(error))
                continue
            rows = pictures(models, frame.thermal, pair.name)
            grey = grey_copy(normalize(frame.thermal, models[0].thermal))
            views = _views(rows, {"grey copy": grey, "inverted grey": 1 - grey}, flats, frame)
            perceptual = perceptual_metric(views) if perceptual_metric else {}
            for name, view in views.items():
                one = perceptual.get(name)
                distances = one.perceptual if one else None
                scores = compare_rows(view.outputs, view.truth, pool, distances)
                pooled = one.pooled if one and number % pooled_every == 0 else None
                examples.setdefault(name, []).append(Example(pair, scores, pooled))
    if not examples:
        first = failures[0] if failures else "the set is empty"
        raise DatasetError(f"none of {len(pairs)} pairs could be scored: {first}")
    origin = f"{seen} training pairs" if trained_on else "the evaluated pairs themselves"
    reports = {name: Report(names, found) for name, found in examples.items()}
    return EvaluationResult(reports, truth_look, size, origin, failures)


def pictures(models: Sequence[EvalModel], thermal: ThermalPixels, place: str) -> dict[str, Image]:
    """Every model's picture of one frame, by name: HxWx3 float32 RGB in [0,1].

    Args:
        models: the models; each gets the frame by its own normalisation.
        thermal: HxW uint8 or uint16 counts at comparison size.
        place: what to call the frame in messages.

    Raises:
        ModelError: an output that is not finite.
    """
    inputs: dict[ThermalNormalization, npt.NDArray[np.float32]] = {}
    result = {}
    for model in models:
        if model.thermal not in inputs:
            inputs[model.thermal] = normalize(thermal, model.thermal)
        result[model.name] = model.picture(inputs[model.thermal], place)
    return result


def _check(models: Sequence[EvalModel], size: tuple[int, int]) -> None:
    names = [model.name for model in models]
    if not names or len({*names, *BASELINES}) < len(names) + len(BASELINES):
        raise ConfigError(
            f"models need names of their own, other than {BASELINES}, received {names}"
        )
    if min(size) < MIN_SIDE:
        raise ConfigError(
            f"size: expected sides of at least {MIN_SIDE}, which MS-SSIM needs, "
            f"received {size[1]}x{size[0]}"
        )


def _views(
    rows: Mapping[str, Image],
    greys: Mapping[str, Image],
    flats: Mapping[Look, Image],
    frame: PairImages,
) -> dict[str, Comparison]:
    """One pair in every view; the mean colour is that of the truths of the view's look."""
    views = {}
    for look, truth in frame.truths.items():
        outputs = {**rows, "mean colour": flats[look], **greys}
        views[RAW if look == "none" else PAINTED] = Comparison(outputs, truth)
        if look != "none":
            brought = {row: graded(image, look) for row, image in outputs.items()}
            views[GRADED] = Comparison(brought, truth)
    return views


def _flat(colour: npt.NDArray[np.float32], size: tuple[int, int]) -> Image:
    return np.ascontiguousarray(np.broadcast_to(colour.astype(np.float32), (*size, 3)))
