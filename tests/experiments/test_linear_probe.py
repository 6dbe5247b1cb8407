"""What a linear map reads from a Handle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from model_facts import bare_info

from ladle_rt.datasets import find_pairs
from ladle_rt.errors import DatasetError
from ladle_rt.experiments.linear_probe import METRICS, probe_handle
from ladle_rt.models.registry import build, config_to_dict, preset_config
from ladle_rt.models.weights import save_model


@pytest.mark.parametrize("architecture", ["ladlenet", "ladlenet-plus"])
def test_a_handle_beside_the_thermal_value_that_the_labels_are_made_of(
    architecture: str, data_root: Path, tmp_path: Path
) -> None:
    if architecture == "ladlenet-plus":
        pytest.importorskip("segmentation_models_pytorch", reason="needs the train extra")
    config = preset_config(architecture, "nano")
    info = bare_info(
        "mine",
        architecture,
        config=config_to_dict(config),
        size_multiple=config.size_multiple,
    )
    path = tmp_path / "mine.safetensors"
    save_model(path, build(architecture, config), info)
    pairs = find_pairs(data_root / "pairs")

    scored, rows = probe_handle(path, pairs[:2], pairs[2:])

    assert scored == pairs[2:]
    assert rows.keys() == {"arm", "fresh Handle", "thermal value", "commonest class"}
    assert all(values.keys() == set(METRICS) for values in rows.values())
    thermal, commonest = (rows[row]["accuracy"] for row in ("thermal value", "commonest class"))
    assert min(thermal) > 0.85 > max(commonest)
    assert min(rows["arm"]["accuracy"]) > 0.5

    shutil.rmtree(data_root / "pairs/labels")
    with pytest.raises(DatasetError, match="label maps"):
        probe_handle(path, pairs[:2], pairs[2:])
