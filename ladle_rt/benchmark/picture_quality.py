"""How good the pictures of a case are: against fp32, by themselves, against truth.

Pictures are as users get them, painted at the size of the frame and in 8 bits: what differs
between two engines includes their levels, their painting and their rounding.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.benchmark.latency import translate_all
from ladle_rt.colour import Rgb, swap_red_and_blue, to_lab, to_rgb
from ladle_rt.datasets import Pair, read_pair
from ladle_rt.datasets.look import Look, to_look
from ladle_rt.evaluation.image_metrics import compare, image_statistics
from ladle_rt.evaluation.pair_images import to_unit
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.geometry import fit_letterbox, shrink
from ladle_rt.similarity import MIN_SIDE, psnr_db, similarity, ssim
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.translate.base import Translator

MOST_DB = 100.0
"""PSNR of equal pictures, which is infinite and no number of JSON."""
RATE = 2
"""Frames of the sample in a second: each shows something new."""
TRUTH_FIGURES = (
    "ssim",
    "ms_ssim",
    "psnr_db",
    "ciede2000",
    "chroma_ratio",
    "contrast_ratio",
    "sharpness_ratio",
)
"""Of `ImageScores`."""
SHOWN_WIDTH = 320
"""Of the sample picture in a report, pixels."""
Values = dict[str, list[float]]
"""Figures by name, a value for each image."""


def quality_sample(frame_size: tuple[int, int], count: int) -> list[Frame]:
    """Frames of the built-in drive, half a second apart.

    Args:
        frame_size: height and width.
        count: how many.
    """
    height, width = frame_size
    options = DriveOptions(width, height, rate=RATE, seconds=count / RATE)
    return list(SyntheticSource(options))


def paint(translator: Translator, frames: Sequence[Frame]) -> list[Rgb]:
    """Pictures of frames, HxWx3 uint8 sRGB of the frames' own size.

    Args:
        translator: paints ``rgb24``.
        frames: in order.
    """
    return [to_rgb(one.picture) for one in translate_all(translator, frames)]


def kept(path: Path, make: Callable[[], list[Rgb]]) -> list[Rgb]:
    """Pictures from a file, or made and kept there for the next process."""
    if path.is_file():
        return list(np.load(path))
    pictures = make()
    np.save(path, np.stack(pictures))
    return pictures


def drift(pictures: Sequence[Rgb], expected: Sequence[Rgb]) -> Values:
    """How far pictures are from those of fp32 at the same size, RGB in [0,1]."""
    found: Values = {}
    for picture, reference in zip(pictures, expected, strict=True):
        error = np.abs(picture.astype(np.int16) - reference) / 255
        values = {"drift_max_abs": float(error.max()), "drift_mean_abs": float(error.mean())}
        values |= _similar("drift", picture, reference)
        _add(found, values)
    return found


def likeness(pictures: Sequence[Rgb], best: Sequence[Rgb]) -> Values:
    """Similarity to the pictures that fp32 paints at the model's largest size."""
    found: Values = {}
    for picture, reference in zip(pictures, best, strict=True):
        _add(found, _similar("best", picture, reference))
    return found


def statistics(pictures: Sequence[Rgb]) -> Values:
    """What pictures are by themselves: see `ImageStatistics`."""
    found: Values = {}
    for picture in pictures:
        measured = image_statistics(to_unit(picture), to_lab(picture))
        _add(found, {f"picture_{name}": value for name, value in asdict(measured).items()})
    return found


def truth_frames(pairs: Sequence[Pair], largest: tuple[int, int]) -> list[Frame]:
    """Thermal images of pairs as frames, not larger than asked for.

    Args:
        pairs: what to read.
        largest: height and width.

    Raises:
        InputError: an image that is missing or does not decode.
        DatasetError: images of two aspect ratios, or a thermal image of one value.
    """
    return [
        Frame(_at_most(read_pair(pair)[0], largest), number, number)
        for number, pair in enumerate(pairs)
    ]


def against_truth(pictures: Sequence[Rgb], pairs: Sequence[Pair], look: Look) -> Values:
    """Scores against the true pictures, graded to the model's look.

    Args:
        pictures: of the pairs' thermal images, sides of at least 176.
        pairs: the same pairs.
        look: what the model paints.
    """
    found: Values = {}
    for picture, pair in zip(pictures, pairs, strict=True):
        visible = to_look(read_pair(pair)[1], look)
        size = picture.shape[1::-1]
        truth: Any = cv2.resize(visible, size, interpolation=cv2.INTER_AREA)
        scores = compare(to_unit(picture), to_unit(truth))
        _add(found, {f"truth_{name}": float(getattr(scores, name)) for name in TRUTH_FIGURES})
    return found


def shown(picture: npt.NDArray[Any]) -> str:
    """A small JPEG, base64: HxWx3 sRGB or HxW grey, uint8."""
    height, width = picture.shape[:2]
    size = (SHOWN_WIDTH, max(1, round(height * SHOWN_WIDTH / width)))
    small: Any = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if small.ndim == 3:
        small = swap_red_and_blue(small)
    encoded, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert encoded
    return base64.b64encode(data.tobytes()).decode()


def _similar(name: str, picture: Rgb, reference: Rgb) -> dict[str, float]:
    output, truth = to_unit(picture), to_unit(reference)
    found = {f"{name}_psnr_db": min(psnr_db(output, truth), MOST_DB)}
    if min(picture.shape[:2]) < MIN_SIDE:
        return found | {f"{name}_ssim": ssim(output, truth)}
    similar = similarity(output, truth)
    return found | {f"{name}_ssim": similar.ssim, f"{name}_ms_ssim": similar.ms_ssim}


def _at_most(thermal: ThermalPixels, largest: tuple[int, int]) -> ThermalPixels:
    height, width = thermal.shape
    fit = fit_letterbox(height, width, largest, 1)
    return shrink(thermal, fit) if fit.height < height or fit.width < width else thermal


def _add(found: Values, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        found.setdefault(name, []).append(value)
