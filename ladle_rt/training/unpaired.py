"""Thermal footage without a truth: cameras whose pictures should look natural too.

No pixel says what such a frame should become. What can be asked is that its picture looks like
one of daylight: to a discriminator that is not told the thermal frame, and in the distribution
of its tones. Every frame is read when a run starts, so that bad footage shows before training.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ladle_rt.datasets import read_thermal
from ladle_rt.datasets.pairs import is_image
from ladle_rt.errors import DatasetError, InputError
from ladle_rt.frames import ThermalPixels
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.normalization import ThermalNormalization, normalize
from ladle_rt.training.augment import Box, degrade, jitter_tone, part_of, random_box
from ladle_rt.training.data_spec import UnpairedSpec

logger = logging.getLogger("ladle_rt")


class UnpairedFrames:
    """Frames of all footage of a run, held in memory.

    Args:
        specs: the footage.
        max_size: larger frames are shrunk to this height and width.

    Raises:
        DatasetError: no such folder, or nothing thermal in it.
    """

    def __init__(self, specs: tuple[UnpairedSpec, ...], max_size: tuple[int, int]) -> None:
        self._sets = [_read(spec, max_size) for spec in specs]
        weights = np.array([spec.weight for spec in specs])
        self._shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> ThermalPixels:
        """One frame, not to be written to: footage by weight, then a frame at random."""
        frames = self._sets[int(rng.choice(len(self._sets), p=self._shares))]
        return frames[int(rng.integers(len(frames)))]

    def augmented(
        self, size: tuple[int, int], spec: ThermalNormalization, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], tuple[float, float]]:
        """A part of one frame as the network sees it, mirrored, its tone and noise changed.

        Args:
            size: height and width.
            spec: the run's normalisation.
            rng: decides everything.

        Returns:
            HxW in [0,1], and its first and last row in the whole frame, 0 its top, 1 its bottom.
        """
        pixels = self.draw(rng)
        height, width = pixels.shape
        box = random_box(height, width, rng)
        unit = normalize(part_of(pixels, box, size), spec)
        unit = degrade(jitter_tone(unit, rng), rng)
        if rng.random() < 0.5:
            unit = unit[:, ::-1]
        return np.ascontiguousarray(unit), (box[0] / height, (box[0] + box[2]) / height)


def _read(spec: UnpairedSpec, max_size: tuple[int, int]) -> list[ThermalPixels]:
    try:
        files = sorted(file for file in spec.path.iterdir() if file.is_file())
    except OSError as error:
        raise DatasetError(
            f"{spec.path}: expected a folder of thermal images or videos, received {error.strerror}"
        ) from error
    files = [file for file in files if file.stem not in spec.exclude]
    images = [file for file in files if is_image(file.name)]
    frames = [read_thermal(images[index]) for index in _spaced(len(images), spec.frames)]
    for file in files:
        if not is_image(file.name):
            frames += _of_video(file, spec.frames)
    if not frames:
        raise DatasetError(f"{spec.path}: expected thermal images or videos, found none")
    return [_shrunk(frame, max_size) for frame in frames]


def _of_video(file: Path, count: int) -> list[ThermalPixels]:
    try:
        with VideoSource(file) as source:
            total = sum(1 for _ in source)
        wanted = set(_spaced(total, count))
        with VideoSource(file) as source:
            return [frame.pixels for frame in source if frame.sequence in wanted]
    except InputError as error:
        logger.warning("left out of the unpaired footage: %s", error)
        return []


def _shrunk(frame: ThermalPixels, max_size: tuple[int, int]) -> ThermalPixels:
    height, width = frame.shape
    size = (min(height, max_size[0]), min(width, max_size[1]))
    whole: Box = (0, 0, height, width)
    shrunk: ThermalPixels = part_of(frame, whole, size)
    return shrunk


def _spaced(count: int, wanted: int) -> list[int]:
    return [int(index) for index in np.linspace(0, count - 1, min(count, wanted))] if count else []
