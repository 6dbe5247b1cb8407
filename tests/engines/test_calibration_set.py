"""A calibration set on disk is whole, unchanged and of this model, or refused in one line."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ladle_rt.engines.calibration import calibration_set
from ladle_rt.engines.calibration.calibration_set import (
    HELD_OUT,
    MANIFEST,
    RANGES,
    CalibrationSet,
    network_input,
    write_set,
)
from ladle_rt.engines.calibration.selection import Candidate, signature
from ladle_rt.errors import ConfigError, InputError, OutputError
from ladle_rt.models.artifact import ModelInfo, load_artifact
from ladle_rt.thermal.normalization import normalize

RANGE = {"thermal": 1.0, "linear": 2.0625}


@pytest.fixture
def info(tiny_model: Path) -> ModelInfo:
    return load_artifact(tiny_model).info


@pytest.fixture
def pixels() -> np.ndarray:
    """A raw frame that fits the network's box in height alone, and needs padding."""
    return np.random.default_rng(1).integers(2000, 4200, (64, 80)).astype(np.uint16)


@pytest.fixture
def make(tmp_path: Path, info: ModelInfo, pixels: np.ndarray) -> Callable[..., CalibrationSet]:
    copy = tmp_path / "copy.png"
    assert cv2.imwrite(str(copy), pixels)

    def candidate(name: str) -> Candidate:
        mean = signature(network_input(pixels, info))
        return Candidate("data", name, "V000", "night", "ab" * 32, (1, 2, 3), mean, copy, kind=5)

    def write(
        folder: Path = tmp_path / "sets" / "one",
        ranges: dict[str, float] = RANGE,
        overwrite: bool = False,
    ) -> CalibrationSet:
        return write_set(
            folder,
            info,
            "kl",
            ranges,
            [candidate("a"), candidate("b")],
            [candidate("c")],
            overwrite,
        )

    return write


def test_read_is_what_was_written(make: Any, info: ModelInfo, pixels: np.ndarray) -> None:
    made = make()
    again = CalibrationSet.read(made.folder)
    assert again == made and again.ranges == RANGE and len(again.sha256) == 64
    assert again.manifest.model == "tiny" and again.manifest.method == "kl"
    assert again.manifest.onnx_sha256 == info.onnx_sha256
    assert again.manifest.network_size == (64, 96)
    assert [frame["name"] for frame in again.manifest.frames] == ["a", "b"]
    (held,) = again.manifest.held_out
    assert held == {
        "origin": "data",
        "name": "c",
        "sequence": "V000",
        "light": "night",
        "sha256": "ab" * 32,
        "kind": 5,
        "percentiles_1_50_99": [1, 2, 3],
    }
    (seen,) = again.held_out_inputs(info)
    assert seen.shape == (1, 1, 64, 96) and seen.dtype == np.float32
    assert np.array_equal(seen[0, 0, :, :80], normalize(pixels, info.thermal))
    assert not list(made.folder.parent.glob(".*"))


def test_the_hash_follows_the_ranges(make: Any, tmp_path: Path) -> None:
    hashes = {make().sha256, make(tmp_path / "same").sha256}
    assert len(hashes) == 1
    assert make(tmp_path / "other", {**RANGE, "linear": 2.0}).sha256 not in hashes


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _edit(**changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        values = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: val for key, val in values.items() if val is not None}))

    return change


@pytest.mark.parametrize(
    ("file", "damage", "told"),
    [
        (RANGES, _edit(linear=99.0), "ranges.json was changed"),
        (RANGES, _truncate, "ranges.json was changed"),
        (RANGES, Path.unlink, "No such file.*ranges.json"),
        (MANIFEST, _truncate, "calibrate again"),
        (MANIFEST, Path.unlink, "No such file.*manifest.json"),
        (MANIFEST, lambda path: path.write_text("[1]"), "calibrate again"),
        (MANIFEST, lambda path: path.write_bytes(b"\xff\xfe\x00"), "calibrate again"),
        (MANIFEST, _edit(schema=99), "schema 99 instead of 1"),
        (MANIFEST, _edit(onnx_sha256=None), "expected a value for onnx_sha256, received none"),
        (MANIFEST, _edit(ranges_sha256=None), "ranges_sha256"),
        (f"{HELD_OUT}/0000.png", _truncate, "held_out/0000.png was changed"),
        (f"{HELD_OUT}/0000.png", Path.unlink, "No such file.*0000.png"),
    ],
)
def test_damage_is_told_in_one_line(
    file: str, damage: Callable[[Path], None], told: str, make: Any
) -> None:
    folder = make().folder
    damage(folder / file)
    with pytest.raises(InputError, match=told) as caught:
        CalibrationSet.read(folder)
    assert str(folder) in str(caught.value) and "ladle-rt calibrate" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        CalibrationSet.read(tmp_path / "absent")


def test_another_models_set_is_refused(make: Any, info: ModelInfo) -> None:
    made = make()
    made.check_bound(info.onnx_sha256, info.name)
    with pytest.raises(ConfigError, match=r"made for tiny \(.*received other \(000000000000"):
        made.check_bound("0" * 64, "other")


def test_an_existing_folder_is_kept(make: Any, tmp_path: Path) -> None:
    before = make().sha256
    with pytest.raises(OutputError, match="--overwrite"):
        make(ranges={**RANGE, "linear": 1.0})
    assert CalibrationSet.read(tmp_path / "sets" / "one").sha256 == before
    made = make(ranges={**RANGE, "linear": 1.0}, overwrite=True)
    assert made.sha256 != before and made.ranges["linear"] == 1
    assert [path.name for path in made.folder.parent.iterdir()] == ["one"]


def test_only_sets_are_overwritten(make: Any, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").write_bytes(b"dear")
    with pytest.raises(OutputError, match="not a calibration set"):
        make(tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "one.png").read_bytes() == b"dear"


@pytest.mark.parametrize("failing", ["copyfile", "second move"])
def test_a_full_disk_leaves_what_was_there(
    failing: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make()
    full = OSError(errno.ENOSPC, "No space left on device")
    moves: list[Path] = []
    move = calibration_set.os.replace

    def copyfile(*_: object) -> None:
        raise full

    def replace_(source: Path, target: Path) -> None:
        moves.append(source)
        if len(moves) == 2:
            raise full
        move(source, target)

    if failing == "copyfile":
        monkeypatch.setattr(shutil, "copyfile", copyfile)
    else:
        monkeypatch.setattr(calibration_set.os, "replace", replace_)
    with pytest.raises(OutputError, match="No space left"):
        make(ranges={**RANGE, "linear": 1.0}, overwrite=True)
    assert CalibrationSet.read(before.folder).sha256 == before.sha256
    assert [path.name for path in before.folder.parent.iterdir()] == ["one"]


def test_a_place_that_cannot_be_written(make: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        make(tmp_path / "file" / "set")


def test_padding_follows_the_model(info: ModelInfo, pixels: np.ndarray) -> None:
    assert network_input(pixels, replace(info, size_multiple=16)).shape == (1, 1, 64, 80)
