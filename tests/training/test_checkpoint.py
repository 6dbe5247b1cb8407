"""Files of a run: whole after any kill, and refused in one line when they do not fit."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ladle_rt.errors import ModelError
from ladle_rt.files import write_whole
from ladle_rt.models.weights import load_model
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.training.checkpoint import (
    CHECKPOINT,
    load_checkpoint,
    save_checkpoint,
)
from ladle_rt.training.loop import train
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig


@pytest.fixture
def config(pairs_folder: Path) -> TrainConfig:
    return TrainConfig(
        data=(DataSpec(pairs_folder),),
        preset="nano",
        crop=(64, 64),
        loss=LossConfig(alpha=0),
        steps=1,
        batch=2,
        workers=0,
    )


def test_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="delete it to start over"):
        load_checkpoint(tmp_path)
    torch.save({"other": 1}, tmp_path / CHECKPOINT)
    with pytest.raises(ModelError, match="a checkpoint with a step"):
        load_checkpoint(tmp_path)


class Bomb:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return os.mkdir, (str(self._path),)


def test_untrusted_pickle_is_refused_and_not_run(config: TrainConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    torch.save({"step": 1, "model": Bomb(tmp_path / "ran")}, tmp_path / "run" / CHECKPOINT)
    with pytest.raises(ModelError, match="objects that may run code on loading; refused") as caught:
        train(config, tmp_path / "run", resume=True)
    assert "\n" not in str(caught.value) and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "compact"}, r"of a run with other settings \(preset\)"),
        ({"thermal": ThermalNormalization(mid_target=0.3)}, r"other settings \(thermal\)"),
    ],
)
def test_checkpoint_of_another_run_is_refused(
    config: TrainConfig, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    train(config, tmp_path / "ours")
    train(replace(config, **changes), tmp_path / "theirs")
    (tmp_path / "theirs" / CHECKPOINT).replace(tmp_path / "ours" / CHECKPOINT)
    with pytest.raises(ModelError, match=message):
        train(config, tmp_path / "ours", resume=True)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("network", {}, "is of another ladlenet nano than this version builds"),
        ("pairs", [7], r"expects \[7\] pairs in the datasets, found \[6\]"),
        ("model", {}, "expected a checkpoint of ladlenet nano, received Error"),
    ],
)
def test_checkpoint_that_does_not_fit_is_refused(
    config: TrainConfig, tmp_path: Path, key: str, value: object, message: str
) -> None:
    train(config, tmp_path)
    state = load_checkpoint(tmp_path)
    assert state is not None
    save_checkpoint(tmp_path, state | {key: value})
    with pytest.raises(ModelError, match=message) as caught:
        train(config, tmp_path, resume=True)
    assert "\n" not in str(caught.value)


def test_models_that_do_not_fit_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    path = train(config, tmp_path / "run")
    json_path = path.with_suffix(".json")
    text = json_path.read_text()
    json_path.write_text(text.replace('"handle_channels": 8', '"handle_channels": 4'))
    with pytest.raises(ModelError, match="tensors do not fit ladlenet"):
        load_model(path)
    json_path.write_text(text.replace('"fold": 2', '"fold": 5'))
    with pytest.raises(ModelError, match="fold must be 1 or 2"):
        load_model(path)
    json_path.write_text(text)
    path.write_bytes(b"\0" * 64)
    with pytest.raises(ModelError, match="expected safetensors"):
        load_model(path)
    path.unlink()
    with pytest.raises(ModelError, match="no such file"):
        load_model(path)


def test_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(target, fail)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


class Dying:
    """A file whose writer is killed after 200,000 bytes."""

    def __init__(self, path: Path) -> None:
        self._stream, self._left = path.open("wb"), 200_000

    def write(self, data: bytes) -> None:
        """What fits; the process ends at the last byte."""
        self._left -= self._stream.write(bytes(data)[: self._left])
        self._stream.flush()
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def flush(self) -> None:
        """As files have it."""


def test_kill_inside_torch_save_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    first, second = (
        {"step": step, "model": {"w": torch.full((100_000,), 2.0 - step)}} for step in (1, 2)
    )
    # A copy of this process, not a new one that would load torch again.
    child = os.fork()
    if not child:
        try:
            save_checkpoint(tmp_path, first)
            save = torch.save
            torch.save = lambda state, path: save(state, Dying(path))  # type: ignore[arg-type]
            save_checkpoint(tmp_path, second)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (part,) = tmp_path.glob(".*.part")
    assert part.stat().st_size == 200000
    state = load_checkpoint(tmp_path)
    assert state is not None and state["step"] == 1
    assert torch.equal(state["model"]["w"], torch.ones(100000))
    save_checkpoint(tmp_path, {"step": 3})
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_published_facts_hold_no_paths(config: TrainConfig, tmp_path: Path) -> None:
    spec = replace(config.data[0], image_list=tmp_path / "lists" / "all.txt")
    (tmp_path / "lists").mkdir()
    names = [f"{number:03d}" for number in range(6)]
    (tmp_path / "lists" / "all.txt").write_text("\n".join(names))
    other = tmp_path / "other" / "pairs"
    shutil.copytree(config.data[0].path, other)
    path = train(replace(config, data=(spec, DataSpec(other))), tmp_path / "run")
    text = path.with_suffix(".json").read_text()
    assert str(tmp_path) not in text
    training = json.loads(text)["training"]
    assert training["config"]["data"][0]["image_list"] == "all.txt"
    # Two folders of one name add up.
    assert training["pairs"] == {"pairs": 12}
