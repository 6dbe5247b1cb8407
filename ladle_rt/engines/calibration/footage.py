"""The frames of footage of any kind that a model could be calibrated on."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ladle_rt.datasets import find_pairs
from ladle_rt.datasets.folders import FOLDER_NAMES
from ladle_rt.datasets.kaist import DAY_SETS, TRAIN_SETS, kaist_key
from ladle_rt.datasets.layouts import recognise
from ladle_rt.datasets.pairs import is_image
from ladle_rt.datasets.read_image import SUFFIXES
from ladle_rt.engines.calibration.calibration_set import network_input
from ladle_rt.engines.calibration.selection import Candidate, signature, spaced
from ladle_rt.errors import (
    DatasetError,
    FalseColourError,
    InputError,
    InputNotFoundError,
    OutputError,
    PartialResultError,
)
from ladle_rt.frames import ThermalPixels
from ladle_rt.geometry import fit_letterbox, shrink
from ladle_rt.models.artifact import ModelInfo, file_sha256
from ladle_rt.sources.still_images import read_still
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.normalization import measure_levels

logger = logging.getLogger("ladle_rt")

UNREADABLE_SHARE = 0.1
"""More unreadable files than this share are an error, not a warning."""

_VISIBLE = {visible for _, visible in FOLDER_NAMES}
_KAIST = re.compile(r"set\d{2}/V\d{3}/I\d{5}")
_MSRS = re.compile(r"\d{5}([DN])")


@dataclass(frozen=True, slots=True)
class Still:
    """A thermal image file and what its dataset says about it."""

    path: Path
    sequence: str
    light: str
    visible: Path | None = None
    """The same moment in visible light, where the dataset has it."""


class Reader:
    """Turns footage into candidates, whose pixels go to a folder: memory does not grow."""

    def __init__(self, info: ModelInfo, folder: Path, budget: int) -> None:
        """
        Args:
            info: the model's facts.
            folder: for lossless copies at network size, empty.
            budget: at most so many candidates of one path, evenly spaced.
        """
        self._info = info
        self._folder = folder
        self._budget = budget
        self._copies = 0

    def read(self, path: Path, image_list: Path | None = None) -> list[Candidate]:
        """Candidates of one path: a dataset (its official training set), a folder of images, an
        image or a video.

        Raises:
            InputNotFoundError: no such path.
            InputError: nothing thermal in it, or too many files that do not decode.
            FalseColourError: coloured images.
            DatasetError: none of the images is in the official training set, or not all of
                ``image_list`` are there.
        """
        if not path.exists():
            raise InputNotFoundError(f"{path}: no such file or folder")
        video = path.is_file() and path.suffix.lower() not in SUFFIXES
        if video and image_list:
            raise DatasetError(f"{path}: expected a dataset for {image_list}, received a video")
        try:
            found, flat = self._video(path) if video else self._images(path, image_list)
        except FalseColourError as error:
            raise FalseColourError(
                f"{str(error).partition(';')[0]}; give the thermal images alone, white-hot"
            ) from error
        if flat:
            logger.warning("%s: left out %d frames without contrast", path, flat)
        return found

    def _images(self, path: Path, image_list: Path | None) -> tuple[list[Candidate], int]:
        stills = list_stills(path, image_list)
        stills = [stills[index] for index in spaced(len(stills), self._budget)]
        found: list[Candidate] = []
        broken: list[Path] = []
        flat = 0
        for still in stills:
            try:
                pixels = read_still(still.path)
                digest = file_sha256(still.path)
            except FalseColourError:
                raise
            except InputError:
                broken.append(still.path)
                continue
            name = os.path.relpath(still.path, path) if path.is_dir() else path.name
            made = self._candidate(path, name, still.sequence, still.light, digest, pixels)
            if made is None:
                flat += 1
            else:
                found.append(replace(made, visible=still.visible))
        if broken:
            names = ", ".join(file.name for file in broken[:5]) + ", ..." * (len(broken) > 5)
            summary = f"{path}: {len(broken)} of {len(stills)} images cannot be read ({names})"
            if len(broken) > UNREADABLE_SHARE * len(stills):
                raise InputError(
                    f"{summary}; at most {UNREADABLE_SHARE:.0%} may be: remove or repair them"
                )
            logger.warning("%s and are left out", summary)
        return found, flat

    def _video(self, path: Path) -> tuple[list[Candidate], int]:
        """Frames spread over a video: every n-th, n doubling as the video turns out longer."""
        kept: list[tuple[int, Candidate]] = []
        flat = 0
        step = 1
        with VideoSource(path) as source:
            for number, pixels in _whole(source, path):
                if number % step:
                    continue
                digest = hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
                made = self._candidate(path, str(number), path.name, "unknown", digest, pixels)
                if made is None:
                    flat += 1
                    continue
                kept.append((number, made))
                if len(kept) > 2 * self._budget:
                    step *= 2
                    for old, item in kept:
                        if old % step:
                            item.file.unlink()
                    kept = [item for item in kept if item[0] % step == 0]
        return [kept[index][1] for index in spaced(len(kept), self._budget)], flat

    def _candidate(
        self,
        origin: Path,
        name: str,
        sequence: str,
        light: str,
        digest: str,
        pixels: ThermalPixels,
    ) -> Candidate | None:
        """A candidate with its copy written, or None without contrast (a closed shutter)."""
        info = self._info
        height, width = pixels.shape
        small = shrink(pixels, fit_letterbox(height, width, info.train_size, info.size_multiple))
        levels = measure_levels(small, info.thermal)
        if levels.high - levels.low < info.thermal.min_span:
            return None
        low, mid, high = (float(value) for value in np.percentile(small, [1, 50, 99]))
        file = self._folder / f"{self._copies}.png"
        self._copies += 1
        _, data = cv2.imencode(".png", small, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        try:
            file.write_bytes(data.tobytes())
        except OSError as error:
            raise OutputError(f"{file}: cannot be written ({error.strerror})") from error
        return Candidate(
            origin=str(origin),
            name=name,
            sequence=sequence,
            light=light,
            sha256=digest,
            percentiles=(low, mid, high),
            signature=signature(network_input(small, info)),
            file=file,
        )


def list_stills(path: Path, image_list: Path | None = None) -> list[Still]:
    """Thermal images of a path; of a dataset only its official training set.

    Raises:
        InputError: a folder without thermal images.
        DatasetError: images of official sets, none of them for training, or a list that
            does not fit.
    """
    if path.is_file() and image_list is None:
        return [Still(path, "", "unknown")]
    try:
        layout = recognise(path) if path.is_dir() else ""
    except OSError as error:
        raise InputError(f"{path}: expected a readable folder, received: {error}") from error
    except DatasetError:
        layout = ""
    # KAIST's thermal images say all that is needed in their paths: no partner is asked for.
    if image_list is None and layout in ("", "kaist"):
        return _walked(path)
    pairs = find_pairs(path, image_list=image_list)
    if any(pair.split for pair in pairs):
        pairs = [pair for pair in pairs if pair.split == "train"]
        if not pairs:
            raise _no_training_set(path)
    return [Still(pair.thermal, pair.sequence, pair.light, pair.visible) for pair in pairs]


def _walked(root: Path) -> list[Still]:
    """Images directly in a folder, or else below it, each subfolder a sequence of its own."""
    files = [root / name for name in sorted(os.listdir(root)) if is_image(name)]
    files = [file for file in files if file.is_file()] or list(_below(root))
    if not files:
        raise InputError(f"{root}: expected a folder with thermal images, found none in it")
    # Where there are official sets, only the one for training is looked at.
    train = [file for file in files if "train" in file.relative_to(root).parts[:-1]]
    stills = [_still(file, root) for file in train or files]
    if not (kept := [still for still in stills if still is not None]):
        raise _no_training_set(root)
    return kept


def _below(root: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(root):
        below[:] = sorted(
            name for name in below if name.lower() not in _VISIBLE and not name.startswith(".")
        )
        for name in sorted(names):
            # KAIST in one folder tells the sides apart by the end of the name.
            if is_image(name) and not Path(name).stem.endswith("_visible"):
                yield Path(folder, name)


def _still(file: Path, root: Path) -> Still | None:
    """An image with what its path says; None for one of KAIST's test sets."""
    key = kaist_key(Path(os.path.abspath(file)).as_posix())
    if _KAIST.fullmatch(key):
        if key[:5] not in TRAIN_SETS:
            return None
        return Still(file, key.rpartition("/")[0], "day" if key[:5] in DAY_SETS else "night")
    msrs = _MSRS.fullmatch(file.stem)
    light = "unknown" if msrs is None else {"D": "day", "N": "night"}[msrs[1]]
    return Still(file, os.path.relpath(file.parent, root), light)


def _no_training_set(root: Path) -> DatasetError:
    return DatasetError(
        f"{root}: expected images of the official training set, found only others; the test "
        "set is not for calibration"
    )


def _whole(source: VideoSource, path: Path) -> Iterator[tuple[int, Any]]:
    """Number and pixels of each frame; a damaged video gives what can be read of it."""
    frames = 0
    try:
        for frame in source:
            frames += 1
            yield frame.sequence, frame.pixels
    except PartialResultError:
        logger.warning(
            "%s: the file is damaged or cut short; %d frames could be read", path, frames
        )
