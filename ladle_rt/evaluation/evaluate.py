"""Evaluate a model on pairs, with the trivial baselines beside it.

Metrics of record: the whole frame, thermal and truth both brought to 256x192 by INTER_AREA,
the model run at that size, mean over images.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets import Light, Pair, read_thermal, read_visible
from ladle_rt.errors import DatasetError, InputError, ModelError
from ladle_rt.evaluation.metrics import Image, Scores, compare, mean_scores
from ladle_rt.thermal.normalization import ThermalNormalization, normalize

logger = logging.getLogger("ladle_rt")

SIZE = (192, 256)
"""Height and width at which everything is compared."""
ASPECT_TOLERANCE = 0.02
"""Relative difference of aspect ratios above which a pair is called out."""
MEAN_COLOUR_PAIRS = 1000
"""At most so many pairs, evenly spaced, make the mean-colour baseline; KAIST has 50,000."""

Predict = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""float32 [1,1,H,W] in [0,1] to [1,3,H,W]; the result may be reused by the next call."""


@dataclass(frozen=True, slots=True)
class Example:
    """One pair at comparison size with the model's output."""

    name: str
    light: Light
    strip: npt.NDArray[np.uint8] | None
    """Thermal, output and truth side by side: Hx(3W)x3 RGB; ``None`` where none were kept."""
    scores: dict[str, Scores]
    """By row: the model first, then the baselines."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found."""

    model: str
    examples: list[Example]
    mean_colour_from: str
    """Which pairs the mean-colour baseline is the mean of."""
    failures: list[str]
    """One line for each pair that could not be read."""

    @property
    def rows(self) -> list[str]:
        """The model, then the baselines."""
        return list(self.examples[0].scores)

    def lights(self) -> list[str]:
        """Light conditions that occur, then ``all``; only ``all`` where there is one."""
        found = sorted({example.light for example in self.examples})
        return [*found, "all"] if len(found) > 1 else ["all"]

    def mean(self, row: str, light: str = "all") -> Scores:
        """Mean scores of one row over the images of one light condition."""
        chosen = [e.scores[row] for e in self.examples if light in ("all", e.light)]
        return mean_scores(chosen)

    def count(self, light: str) -> int:
        """Images of one light condition."""
        return sum(light in ("all", example.light) for example in self.examples)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: means by light condition and row, and every image's scores."""

        def plain(scores: Scores) -> dict[str, float | None]:
            values = {**asdict(scores), "chroma_ratio": scores.chroma_ratio}
            # Equal images have an infinite PSNR, and JSON knows no infinity.
            return {
                key: float(f"{value:.5g}") if math.isfinite(value) else None
                for key, value in values.items()
            }

        return {
            "model": self.model,
            "size": list(SIZE),
            "mean_colour_from": self.mean_colour_from,
            "means": {
                light: {
                    "images": self.count(light),
                    **{row: plain(self.mean(row, light)) for row in self.rows},
                }
                for light in self.lights()
            },
            "images": {
                example.name: plain(example.scores[self.rows[0]]) for example in self.examples
            },
            "failures": self.failures,
        }


def evaluate(
    model: str,
    predict: Predict,
    spec: ThermalNormalization,
    pairs: Sequence[Pair],
    colour_pairs: Sequence[Pair] = (),
    keep_strips: bool = True,
) -> Report:
    """Score a model and the baselines.

    Args:
        model: what to call it.
        predict: runs it on one frame.
        spec: its thermal normalisation.
        pairs: what to evaluate on.
        colour_pairs: pairs whose mean colour is a baseline, those trained on; where there are
            none, the evaluated pairs themselves, which flatters that baseline.
        keep_strips: keep the pictures for a contact sheet, 0.4 MB a pair.

    Raises:
        DatasetError: no pair could be read.
        ModelError: an output that is not finite.
    """
    trained_on = _colours(colour_pairs)
    colours = trained_on or _colours(pairs)
    mean_colour = np.mean(colours, axis=0) if colours else np.zeros(3)
    failures: list[str] = []
    examples = []
    for pair, thermal, truth in _load(pairs, spec, failures):
        raw = predict(thermal[None, None])[0].transpose(1, 2, 0)
        if not np.isfinite(raw).all():
            raise ModelError(f"{model}: the output for {pair.name} is not finite")
        output, grey = np.clip(raw, 0, 1), np.repeat(thermal[..., None], 3, axis=2)
        flat = np.broadcast_to(mean_colour.astype(np.float32), truth.shape)
        rows = {
            model: np.ascontiguousarray(output),
            "mean colour": np.ascontiguousarray(flat),
            "grey copy": grey,
            "inverted grey": 1 - grey,
        }
        scores = {name: compare(image, truth) for name, image in rows.items()}
        strip = _strip(grey, rows[model], truth) if keep_strips else None
        examples.append(Example(pair.name, pair.light, strip, scores))
    if not examples:
        first = failures[0] if failures else "the set is empty"
        raise DatasetError(f"none of {len(pairs)} pairs could be read: {first}")
    origin = f"{len(colours)} training pairs" if trained_on else "the evaluated pairs themselves"
    return Report(model, examples, origin, failures)


def _load(
    pairs: Sequence[Pair], spec: ThermalNormalization, failures: list[str]
) -> Iterator[tuple[Pair, npt.NDArray[np.float32], Image]]:
    told = False
    for pair in pairs:
        try:
            thermal, visible = read_thermal(pair.thermal), read_visible(pair.visible)
        except InputError as error:
            failures.append(str(error))
            continue
        ratios = [image.shape[1] / image.shape[0] for image in (thermal, visible)]
        if abs(ratios[0] / ratios[1] - 1) > ASPECT_TOLERANCE and not told:
            told = True
            logger.warning(
                "%s: thermal and visible differ in aspect ratio; both are squeezed to %dx%d",
                pair.name,
                SIZE[1],
                SIZE[0],
            )
        small: Any = cv2.resize(thermal, SIZE[::-1], interpolation=cv2.INTER_AREA)
        yield pair, normalize(small, spec), _truth(visible)


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


def _strip(thermal: Image, output: Image, truth: Image) -> npt.NDArray[np.uint8]:
    return (np.hstack([thermal, output, truth]) * 255).round().astype(np.uint8)


def _truth(visible: npt.NDArray[np.uint8]) -> Image:
    small = cv2.resize(visible, SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)
