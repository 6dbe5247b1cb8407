"""A graph and a JSON that do not belong together are refused before anything runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.errors import ModelError
from ladle_rt.models.artifact import ModelInfo, file_sha256, load_artifact, shipped_models
from ladle_rt.thermal.normalization import ThermalNormalization

TINY_THERMAL = ThermalNormalization().to_dict()


@pytest.fixture
def model(tmp_path: Path, tiny_model: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_model.read_bytes())
    path.with_suffix(".json").write_text(tiny_model.with_suffix(".json").read_text())
    return path


def test_pair_loads_and_survives_json(model: Path) -> None:
    artifact = load_artifact(model)
    assert artifact.onnx_path == model and artifact.info.train_size == (64, 96)
    assert artifact.info.onnx_sha256 == file_sha256(model)
    assert ModelInfo.from_json(artifact.info.to_json(), "x") == artifact.info
    assert "onnx_sha256" not in artifact.info.facts()


def test_unknown_models_name_what_ships() -> None:
    with pytest.raises(ModelError, match=r"an \.onnx file or one of") as caught:
        load_artifact("nothing")
    assert all(name in str(caught.value) for name in shipped_models())


def test_missing_or_foreign_json(model: Path) -> None:
    json_path = model.with_suffix(".json")
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="describes another file"):
        load_artifact(model)
    json_path.unlink()
    with pytest.raises(ModelError, match="found no such file"):
        load_artifact(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thermal": {}}, "needs the fields"),
        ({"train_size": [1]}, "export the model again"),
        ({"train_size": [60, 96]}, "not positive and divisible by size_multiple 32"),
        ({"macs": "many"}, "export the model again"),
        ({"thermal": None}, "export the model again"),
        ({"thermal": list(TINY_THERMAL)}, "export the model again"),
        ({"thermal": {**TINY_THERMAL, "mid_target": 2}}, "mid_target"),
        ({"size_multiple": 0}, "not positive and divisible by size_multiple 0"),
        ({"onnx_sha256": ""}, "expected SHA-256 none"),
        ({"onnx_sha256": None}, "expected a text for onnx_sha256, received None; export"),
        ({"config": None}, "expected a table for config, received None"),
        ({"macs": math.inf}, "received the number Infinity, which JSON does not have"),
        ({"train_size": [0, 0]}, "train_size 0x0 is not positive"),
        ({"train_size": [-32, 64]}, "train_size -32x64 is not positive"),
        ({"extra": 1}, "unknown key 'extra'; known are"),
    ],
)
def test_json_that_does_not_fit(model: Path, change: dict[str, Any], message: str) -> None:
    json_path = model.with_suffix(".json")
    json_path.write_text(json.dumps({**json.loads(json_path.read_text()), **change}))
    with pytest.raises(ModelError, match=message):
        load_artifact(model)


def test_fields_that_are_missing(model: Path) -> None:
    json_path = model.with_suffix(".json")
    values = json.loads(json_path.read_text())
    del values["thermal"]
    json_path.write_text(json.dumps(values))
    with pytest.raises(ModelError, match="expected a value for thermal, received none"):
        load_artifact(model)


def test_shipped_models_load_by_name_and_by_path() -> None:
    for name, path in shipped_models().items():
        assert load_artifact(name) == load_artifact(path)
        assert load_artifact(name).info.name == name


@pytest.mark.parametrize("text", ["no json", "[]"])
def test_json_that_is_none(model: Path, text: str) -> None:
    model.with_suffix(".json").write_text(text)
    with pytest.raises(ModelError, match="expected"):
        load_artifact(model)


def test_json_that_is_not_text(model: Path) -> None:
    model.with_suffix(".json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelError, match=r"m\.json: expected a model JSON"):
        load_artifact(model)
