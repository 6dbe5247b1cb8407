"""The contact sheet: what the figures look like, worst, median and best.

Pictures are made again for the pairs that are shown, so that an evaluation of any length holds
figures only.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.evaluation.eval_model import EvalModel
from ladle_rt.evaluation.evaluate import pictures
from ladle_rt.evaluation.pair_images import grey_copy, read_pair_images
from ladle_rt.evaluation.report import Example
from ladle_rt.evaluation.result import EvaluationResult
from ladle_rt.thermal.normalization import normalize

COLUMNS = 3
CAPTION_HEIGHT = 16
GAP = 8
"""Pixels between columns."""
Bytes = npt.NDArray[np.uint8]


def contact_sheet(
    evaluation: EvaluationResult, models: Sequence[EvalModel], per_section: int | None = 4
) -> Bytes:
    """Thermal, each model's picture, the truth in the look where there is one, the raw truth.

    Args:
        evaluation: of these models.
        models: the models; the first one's SSIM, against the truth in the look where there
            is one, ranks the pairs.
        per_section: so many of the worst, the median and the best, a column each; ``None``, or
            where there are not as many pairs: every pair once, worst first, line by line.

    Returns:
        HxWx3 uint8 RGB, owned by the caller.
    """
    report = evaluation.chosen
    ranked = sorted(report.examples, key=lambda example: example.scores[report.first].ssim)
    count = len(ranked)
    labels = [f"{place + 1}/{count}" for place in range(count)]
    if per_section is None or count <= COLUMNS * per_section:
        order = list(range(count))
    else:
        middle = (count - per_section) // 2
        starts = {"worst": 0, "median": middle, "best": count - per_section}
        order = [start + line for line in range(per_section) for start in starts.values()]
        for word, start in starts.items():
            for place in range(start, start + per_section):
                labels[place] = f"{word} {labels[place]}"
    tiles = [_tile(evaluation, ranked[place], models, labels[place]) for place in order]
    while len(tiles) % COLUMNS:
        tiles.append(np.zeros_like(tiles[0]))
    gap = np.zeros((tiles[0].shape[0], GAP, 3), np.uint8)
    lines = []
    for start in range(0, len(tiles), COLUMNS):
        first, *others = tiles[start : start + COLUMNS]
        lines.append(np.hstack([first, *(part for tile in others for part in (gap, tile))]))
    return np.vstack([_header(evaluation, lines[0].shape[1]), *lines])


def _tile(
    evaluation: EvaluationResult, example: Example, models: Sequence[EvalModel], label: str
) -> Bytes:
    pair = example.pair
    figures = " / ".join(f"{example.scores[one.name].ssim:.3f}" for one in models)
    text = f"{label}  {pair.name} {pair.light}  SSIM {figures}"
    frame = read_pair_images(pair, evaluation.size, evaluation.look)
    grey = grey_copy(normalize(frame.thermal, models[0].thermal))
    painted = pictures(models, frame.thermal, pair.name)
    parts = [grey, *painted.values(), *reversed(frame.truths.values())]
    strip = (np.hstack(parts) * 255).round().astype(np.uint8)
    return np.vstack([_caption(text, strip.shape[1]), strip])


def _header(evaluation: EvaluationResult, width: int) -> Bytes:
    look, report = evaluation.look, evaluation.chosen
    truths = ["truth"] if look == "none" else [f"truth in the {look} look", "raw truth"]
    names = " | ".join(["thermal", *report.models, *truths])
    return _caption(f"{names}   ranked by SSIM of {report.first}", width)


def _caption(text: str, width: int) -> Bytes:
    image = np.zeros((CAPTION_HEIGHT, width, 3), np.uint8)
    cv2.putText(image, text, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return image
