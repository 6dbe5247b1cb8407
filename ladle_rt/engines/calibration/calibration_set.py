"""A calibration set on disk: which frames, which ranges, of which model.

DIR/manifest.json     schema, model and its graph's hash, method, frames with hashes, statistics
DIR/ranges.json       largest |x| of each activation
DIR/held_out/*.png    frames at network size that were not calibrated on, for the quality gate,
                      and as *-truth.png their moments in visible light, where known
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.colour import encode_png
from ladle_rt.datasets.read_image import read_thermal, read_visible
from ladle_rt.documents import parse_json, read_text
from ladle_rt.engines.calibration.calibration_manifest import SCHEMA, CalibrationManifest
from ladle_rt.engines.calibration.selection import Candidate
from ladle_rt.errors import ConfigError, InputError, OutputError, shown
from ladle_rt.files import temporary_folder
from ladle_rt.frames import ThermalPixels
from ladle_rt.geometry import Letterbox, pad
from ladle_rt.models.artifact import ModelInfo, file_sha256
from ladle_rt.structure import structure
from ladle_rt.thermal.normalization import normalize

logger = logging.getLogger("ladle_rt")

TRUTH_SUFFIX = "-truth.png"
MANIFEST, RANGES, HELD_OUT = "manifest.json", "ranges.json", "held_out"


MISSING = (
    "int8 needs a calibration set of real frames: make one with `ladle-rt calibrate --data PATH "
    "-o DIR` and add --calibration DIR"
)
"""What to say where INT8 is asked for without one."""

MADE = "a folder made by `ladle-rt calibrate`"


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """A set as `read` found it whole."""

    folder: Path
    manifest: CalibrationManifest
    ranges: dict[str, float]
    """Largest |x| to represent, by tensor of the fp32 graph."""
    sha256: str
    """Of the manifest, which names the hashes of everything else."""

    @classmethod
    def read(cls, folder: Path) -> CalibrationSet:
        """Read and check a set.

        Raises:
            InputError: missing, of another schema, or changed since it was written.
        """
        text = read_text(folder / MANIFEST, MADE, InputError)
        ranges_text = read_text(folder / RANGES, MADE, InputError)
        try:
            values = parse_json(text)
            if values.get("schema") != SCHEMA:
                raise ValueError(f"schema {shown(values.get('schema'))} instead of {SCHEMA}")
            manifest = structure(CalibrationManifest, values, MANIFEST, InputError)
            if _sha256(ranges_text) != manifest.ranges_sha256:
                raise ValueError(f"{RANGES} was changed")
            for name, digest in manifest.held_out_files.items():
                if Path(name).name != name:
                    raise ValueError(f"{name!r}, which is no name of a file")
                if file_sha256(folder / HELD_OUT / name) != digest:
                    raise ValueError(f"{HELD_OUT}/{name} was changed")
            ranges = structure(dict[str, float], parse_json(ranges_text), RANGES, InputError)
        except OSError as error:
            raise InputError(
                f"{folder}: expected {MADE}, received: {error.strerror or error} ({error.filename})"
            ) from error
        except (ValueError, AttributeError) as error:
            raise InputError(
                f"{folder}: expected {MADE}, received: {error}; calibrate again"
            ) from error
        return cls(folder, manifest, ranges, _sha256(text))

    def check_bound(self, onnx_sha256: str, name: str) -> None:
        """Refuse another model's set.

        Raises:
            ConfigError: made for another graph.
        """
        made_for = self.manifest.onnx_sha256
        if made_for != onnx_sha256:
            raise ConfigError(
                f"{self.folder}: made for {self.manifest.model} ({made_for[:12]}…), received "
                f"{name} ({onnx_sha256[:12]}…); calibrate this model"
            )

    def held_out_inputs(self, info: ModelInfo) -> list[npt.NDArray[np.float32]]:
        """Frames for the quality gate: float32 [1,1,H,W] in [0,1] as the network sees them."""
        files = (self.folder / HELD_OUT / name for name in self._held_out_names())
        return [network_input(read_thermal(file), info) for file in files]

    def held_out_truths(self, info: ModelInfo) -> list[npt.NDArray[np.float32] | None]:
        """The same frames in visible light: HxWx3 RGB in [0,1], padded alike; None if unknown."""
        truths: list[npt.NDArray[np.float32] | None] = []
        for name in self._held_out_names():
            if truth_name(name) in self.manifest.held_out_files:
                rgb = read_visible(self.folder / HELD_OUT / truth_name(name))
                padded = pad(rgb, _fit_of(rgb, info))
                truths.append(np.ascontiguousarray(padded, np.float32) / np.float32(255))
            else:
                truths.append(None)
        return truths

    def _held_out_names(self) -> list[str]:
        names = self.manifest.held_out_files
        return [name for name in names if not name.endswith(TRUTH_SUFFIX)]


def truth_name(name: str) -> str:
    """File of the visible image beside a held-out thermal one."""
    return name.removesuffix(".png") + TRUTH_SUFFIX


def network_input(pixels: ThermalPixels, info: ModelInfo) -> npt.NDArray[np.float32]:
    """What the network sees of a frame.

    Args:
        pixels: HxW at network size, uint8 or uint16 in any range.
        info: the model's facts.

    Returns:
        [1,1,H,W] float32 in [0,1], normalised and padded to the size multiple.
    """
    padded = pad(normalize(pixels, info.thermal), _fit_of(pixels, info))
    return np.ascontiguousarray(padded)[None, None]


def _fit_of(image: npt.NDArray[Any], info: ModelInfo) -> Letterbox:
    """The fit of an image that has its network size already."""
    height, width = image.shape[:2]
    return Letterbox(height, width, -height % info.size_multiple, -width % info.size_multiple)


def write_set(
    folder: Path,
    info: ModelInfo,
    method: str,
    ranges: dict[str, float],
    used: Sequence[Candidate],
    held_out: Sequence[Candidate],
    overwrite: bool,
) -> CalibrationSet:
    """Write a set; the folder appears whole or not at all.

    Raises:
        OutputError: it exists, or cannot be written.
    """
    check_folder(folder, overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as room:
            draft = room / "set"
            draft.mkdir()
            _fill(draft, info, method, ranges, used, held_out)
            _put(draft, folder)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return CalibrationSet.read(folder)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a place for a set before any work is done.

    Raises:
        OutputError: taken, and ``overwrite`` is off or it is not a calibration set.
    """
    if not folder.exists():
        return
    if not overwrite:
        raise OutputError(f"{folder} exists; choose another folder or add --overwrite")
    if not (folder / MANIFEST).is_file():
        raise OutputError(f"{folder} is not a calibration set; it is not overwritten")


def _put(draft: Path, folder: Path) -> None:
    """Move a whole set to its place; the one that was there stays until then."""
    # Not in the draft's folder: a kill between the moves must not lose it.
    old = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}-old")
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(draft, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _fill(
    draft: Path,
    info: ModelInfo,
    method: str,
    ranges: dict[str, float],
    used: Sequence[Candidate],
    held_out: Sequence[Candidate],
) -> None:
    (draft / HELD_OUT).mkdir()
    files = {}
    for number, item in enumerate(held_out):
        path = draft / HELD_OUT / f"{number:04d}.png"
        shutil.copyfile(item.file, path)
        files[path.name] = file_sha256(path)
        truth = path.with_name(truth_name(path.name))
        if _write_truth(item, path, truth):
            files[truth.name] = file_sha256(truth)
    (draft / RANGES).write_text(json.dumps(ranges, indent=1) + "\n", encoding="utf-8")
    manifest = CalibrationManifest(
        schema=SCHEMA,
        model=info.name,
        onnx_sha256=info.onnx_sha256,
        method=method,
        network_size=info.train_size,
        ranges_sha256=file_sha256(draft / RANGES),
        frames=[_facts(item) for item in used],
        held_out=[_facts(item) for item in held_out],
        held_out_files=files,
    )
    (draft / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _write_truth(item: Candidate, thermal: Path, path: Path) -> bool:
    """Write the visible image at the thermal one's size; False where there is none to read."""
    if item.visible is None:
        return False
    try:
        rgb = read_visible(item.visible)
    except InputError as error:
        logger.warning("%s; the frame is held out without its truth", error)
        return False
    size = read_thermal(thermal).shape[::-1]
    small: Any = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    path.write_bytes(encode_png(small))
    return True


def _facts(item: Candidate) -> dict[str, Any]:
    return {
        "origin": item.origin,
        "name": item.name,
        "sequence": item.sequence,
        "light": item.light,
        "sha256": item.sha256,
        "kind": item.kind,
        "percentiles_1_50_99": list(item.percentiles),
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
