"""Models by what users call them: graphs, checkpoints, engines, and what is refused."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from model_facts import bare_info

from ladle_rt.errors import MissingDependencyError, ModelError
from ladle_rt.evaluation.open_models import open_models
from ladle_rt.evaluation.parity import open_engines
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelInfo

TINY = bare_info()
WEIGHTS = Path(__file__).resolve().parents[2] / "ladle_rt" / "weights"
FRAME = np.random.default_rng(0).random((192, 256), dtype=np.float32)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The shipped model's weights with the graph exported from them, elsewhere."""
    folder = tmp_path / "run"
    folder.mkdir()
    for suffix in (".safetensors", ".json", ".onnx"):
        shutil.copy(WEIGHTS / f"{DEFAULT_MODEL}{suffix}", folder / f"fresh{suffix}")
    return folder / "fresh.safetensors"


def test_graphs_and_checkpoints_run_alike(checkpoint: Path, tiny_model: Path) -> None:
    opened = open_models([str(checkpoint), str(tiny_model), str(checkpoint.with_suffix(".onnx"))])
    torch, tiny, graph = opened
    assert [one.name for one in (torch, tiny, graph)] == ["fresh.safetensors", "tiny", "fresh.onnx"]
    pictures = [one.picture(FRAME, "x") for one in (torch, tiny, graph)]
    assert np.abs(pictures[0] - pictures[2]).max() < 1e-5 < np.abs(pictures[0] - pictures[1]).max()
    assert opened[0].files == (checkpoint, checkpoint.with_suffix(".json"))


def test_a_model_brings_the_look_of_its_targets(
    tmp_path: Path, make_model: Callable[..., Path], checkpoint: Path
) -> None:
    bright = make_model(tmp_path / "a.onnx", info=replace(TINY, look="daylight"))
    assert open_models([str(bright)])[0].look == "daylight"
    facts = json.loads(checkpoint.with_suffix(".json").read_text())
    # As versions before 0.5 wrote them.
    del facts["look"]
    checkpoint.with_suffix(".json").write_text(json.dumps(facts))
    assert open_models([str(checkpoint)])[0].look == "none"
    for path in (bright, checkpoint):
        text = json.dumps({**json.loads(path.with_suffix(".json").read_text()), "look": "dusk"})
        path.with_suffix(".json").write_text(text)
        with pytest.raises(ModelError, match=r"expected a look of .*'daylight'.*, received 'dusk'"):
            open_models([str(path)])


def test_models_are_asked_whether_they_take_the_size(tiny_model: Path) -> None:
    assert open_models([str(tiny_model)], (384, 512))
    with pytest.raises(ModelError, match=r"evaluation is at 256x200, .* divisible by 32"):
        open_models([str(tiny_model)], (200, 256))


def test_none_means_the_shipped_default() -> None:
    assert [one.name for one in open_models([])] == [DEFAULT_MODEL]


def test_equal_names_and_files_are_told_apart_by_their_folders(
    tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    paths = []
    for folder in "ab":
        (tmp_path / folder).mkdir()
        paths.append(str(make_model(tmp_path / folder / "tiny.onnx")))
    assert [one.name for one in open_models(paths)] == paths


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".PT"])
def test_pickles_are_refused_unread(tmp_path: Path, suffix: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match=r"pickle.*refused; give the run's \.safetensors"):
        open_models([str(path)])
    assert not (tmp_path / "ran").exists()


def test_what_cannot_be_opened(tmp_path: Path, tiny_model: Path, checkpoint: Path) -> None:
    with pytest.raises(ModelError, match="twice"):
        open_models([str(tiny_model)] * 2)
    with pytest.raises(ModelError, match=r"expected an \.onnx file or one of"):
        open_models(["none"])
    info = ModelInfo.from_json(checkpoint.with_suffix(".json").read_text(), "x")
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(checkpoint.read_bytes())
    foreign.with_suffix(".json").write_text(replace(info, architecture="resnet").to_json())
    with pytest.raises(ModelError, match="architecture must be one of"):
        open_models([str(foreign)])
    odd = replace(info, size_multiple=7, train_size=(70, 70))
    foreign.with_suffix(".json").write_text(odd.to_json())
    with pytest.raises(ModelError, match="needs sides divisible by 7"):
        open_models([str(foreign)])


def test_checkpoints_need_torch(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"ladle-rt\[train\]"):
        open_models([str(checkpoint)])


def test_engines_of_one_model(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in ([checkpoint], [checkpoint.with_suffix(".onnx")]):
        engines = open_engines([str(word) for word in words])
        assert list(engines.others) == ["onnxruntime", "openvino"] and not engines.missing
        expected = engines.reference.predict(FRAME[None, None])
        for predict in engines.others.values():
            assert np.abs(predict(FRAME[None, None]) - expected).max() < 1e-4
    monkeypatch.setitem(sys.modules, "openvino", None)
    engines = open_engines([str(checkpoint)])
    assert list(engines.others) == ["onnxruntime"]
    assert "ladle-rt[openvino]" in engines.missing["openvino"]


def test_engines_are_those_of_one_model(checkpoint: Path, tiny_model: Path, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely.safetensors"
    lonely.write_bytes(checkpoint.read_bytes())
    graph = str(checkpoint.with_suffix(".onnx"))
    for words, message in (
        ([str(lonely)], r"lonely\.onnx: no such file; .* exported graph too"),
        ([str(tiny_model)], r"tiny\.safetensors: no such file; .* checkpoint too"),
        ([str(checkpoint), str(tiny_model)], "describe different models"),
        ([graph, str(tiny_model)], r"expected a \.safetensors checkpoint and its \.onnx"),
        (["a", "b", "c"], "received 3 models"),
    ):
        with pytest.raises(ModelError, match=message):
            open_engines(words)
    lonely.with_suffix(".json").write_text(checkpoint.with_suffix(".json").read_text())
    engines = open_engines([str(lonely), graph])
    assert engines.name == DEFAULT_MODEL and lonely in engines.files
