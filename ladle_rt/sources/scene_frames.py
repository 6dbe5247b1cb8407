"""Decoded video frames as scenes: turned upright, and refused where they are in colour."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ladle_rt.errors import FalseColourError, InputError
from ladle_rt.frames import ThermalPixels
from ladle_rt.geometry import samples
from ladle_rt.sources.pixel_layouts import COLOURED_SHARE, coloured_share, intensities, packed_words
from ladle_rt.sources.still_images import scene_reader
from ladle_rt.temperature import Temperatures
from ladle_rt.thermal.scene_reader import ReadOptions
from ladle_rt.thermal.sensors import holds_counts, picture_half

logger = logging.getLogger("ladle_rt.input")

FIRST_CHECKS = 5
"""So many of the first frames that show anything decide whether the input is in colour."""
CHECK_EVERY = 50
"""After that one frame in so many is looked at."""
FLAT_SAMPLES = 64
"""At least so many rows and columns say whether a frame is flat."""
FLAT_SPAN = 16
"""A frame whose 8-bit counts span less shows nothing that colour could be judged by."""


class SceneFrames:
    """Frames of one video in, scenes out; in order, from one thread."""

    def __init__(self, path: Path, options: ReadOptions, allow_colour: bool) -> None:
        """
        Args:
            path: of the video, for messages.
            options: what it holds.
            allow_colour: take the luminance of a coloured video instead of refusing it.

        Raises:
            InputError: the mask cannot be read.
        """
        self._path, self._palette = path, options.from_palette
        self._allow_colour = allow_colour
        self._scene = scene_reader(options, path.name)
        self._counts: bool | None = None
        """Whether 4:2:2 carries raw counts; the first frame tells."""
        self._checks = self._frames = 0
        self._warned_colour = False
        self.rotation = 0
        """Of the frame that was read last, quarter turns."""

    @property
    def celsius(self) -> Temperatures | None:
        """Degrees of the counts of the scene that was read last, where they are known."""
        return self._scene.celsius

    def read(self, frame: av.VideoFrame) -> ThermalPixels:
        """The scene of the next frame.

        Returns:
            HxW uint8 or uint16, owned by the caller.

        Raises:
            FalseColourError: colour in one of the first frames.
            InputError: a pixel format that cannot be read; or crop or mask do not fit.
        """
        scene = self._read(frame)
        self._frames += 1
        return scene

    def _read(self, frame: av.VideoFrame) -> ThermalPixels:
        self.rotation = round(frame.rotation / 90) % 4
        try:
            if self._palette is not None:
                return self._scene.read_colours(self._turned(frame.to_ndarray(format="rgb24")))
            pixels = self._intensities(frame)
        except (ValueError, av.FFmpegError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self._path}: pixel format {frame.format.name} cannot be read ({error})"
            ) from error
        return self._scene.read(self._turned(pixels))

    def _intensities(self, frame: av.VideoFrame) -> ThermalPixels:
        if self._counts is not False:
            words = packed_words(frame)
            if self._counts is None:
                self._counts = words is not None and self._are_counts(words)
            if words is not None and self._counts:
                return words
        pixels = intensities(frame, luminance=self._allow_colour)
        self._check_colour(frame, pixels)
        return pixels

    def _are_counts(self, words: npt.NDArray[np.uint16]) -> bool:
        """Whether a camera's raw counts were recorded as if they were 4:2:2."""
        whole = holds_counts(words)
        if whole:
            logger.info("%s: raw counts recorded as YUYV; they are read", self._path.name)
        return whole or picture_half(words) != slice(0, len(words))

    def _turned(self, pixels: Any) -> Any:
        return np.ascontiguousarray(np.rot90(pixels, self.rotation)) if self.rotation else pixels

    def _check_colour(self, frame: av.VideoFrame, pixels: ThermalPixels) -> None:
        judging = self._checks < FIRST_CHECKS
        if self._warned_colour or not (judging or self._frames % CHECK_EVERY == 0):
            return
        share = coloured_share(frame)
        if share <= COLOURED_SHARE:
            few = samples(pixels, FLAT_SAMPLES)
            self._checks += int(few.max()) - int(few.min()) >= FLAT_SPAN
            return
        found = f"{self._path}: {share:.0%} of the picture is coloured"
        if judging and not self._allow_colour:
            raise FalseColourError(
                f"{found}; expected thermal intensities in grey, not a colour palette: record "
                "with a white-hot palette, turn it back with --from-palette auto, or use its "
                "luminance with --allow-colour"
            )
        self._warned_colour = True
        logger.warning("%s; its luminance is used, which is not temperature", found)
