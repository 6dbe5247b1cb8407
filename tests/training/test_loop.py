"""Runs: they learn, resume on the very same path after a kill, and leave whole files."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.training.checkpoint import load_checkpoint, load_model, write_whole
from ladle_rt.training.config import DataSpec, LossConfig, TrainConfig
from ladle_rt.training.loop import Progress, train


@pytest.fixture
def config(pairs_folder: Path) -> TrainConfig:
    return TrainConfig(
        data=(DataSpec(pairs_folder),),
        validation=DataSpec(pairs_folder),
        preset="nano",
        steps=6,
        batch=2,
        warmup=1,
        ema=0.5,
        checkpoint_every=2,
        validate_every=3,
        workers=0,
        loss=LossConfig(chroma=1, saturation=1),
    )


def test_run_leaves_its_files(config: TrainConfig, tmp_path: Path) -> None:
    seen: list[Progress] = []
    best = train(config, tmp_path / "run", on_progress=seen.append)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "config.json",
        "log.csv",
        "checkpoint.pt",
        "sheet-000003.png",
        "sheet-000006.png",
        "best.safetensors",
        "best.json",
        "last.safetensors",
        "last.json",
    }
    assert [p.step for p in seen] == [3, 6] and all(p.scores for p in seen)
    model, info = load_model(best)
    assert info.thermal == config.thermal and info.parameters == sum(
        p.numel() for p in model.parameters()
    )
    assert str(tmp_path) not in (best.with_suffix(".json")).read_text()
    with pytest.raises(ConfigError, match="already holds a run; add --resume"):
        train(config, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"other settings \(seed\)"):
        train(replace(config, seed=9), tmp_path / "run", resume=True)


def test_loss_falls(config: TrainConfig, tmp_path: Path) -> None:
    train(replace(config, steps=40, validation=None, learning_rate=1e-2), tmp_path / "run")
    rows = list(csv.DictReader((tmp_path / "run/log.csv").open()))
    assert [row["step"] for row in rows] == ["20", "40"]
    _, first_info = load_model(tmp_path / "run/last.safetensors")
    assert float(rows[-1]["l1"]) < 0.2 and first_info.metrics == {}


def test_resume_after_kill_is_bit_identical(config: TrainConfig, tmp_path: Path) -> None:
    whole = train(config, tmp_path / "whole")
    script = (
        "import json, os, pathlib, signal, sys\n"
        "from ladle_rt.training import loop\n"
        "from ladle_rt.training.config import config_from_values\n"
        "values = json.loads(sys.argv[1])\n"
        "advance = loop._Run.advance\n"
        "def dying(self, *batch):\n"
        "    if self.step == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return advance(self, *batch)\n"
        "loop._Run.advance = dying\n"
        "loop.train(config_from_values(values), pathlib.Path(sys.argv[2]))\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, json.dumps(config.to_dict()), str(tmp_path / "killed")],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert load_checkpoint(tmp_path / "killed")["step"] == 4
    resumed = train(config, tmp_path / "killed", resume=True)
    assert resumed.read_bytes() == whole.read_bytes()
    last = "last.safetensors"
    assert (tmp_path / "killed" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()
    steps = [row["step"] for row in csv.DictReader((tmp_path / "killed/log.csv").open())]
    assert steps == ["3", "6"]


def test_crop_must_fit_the_network(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="divisible by 32"):
        train(replace(config, crop=(200, 256)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_damaged_checkpoint_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    train(replace(config, steps=2, validation=None), tmp_path / "run")
    (tmp_path / "run/checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="delete it to start over"):
        load_checkpoint(tmp_path / "run")
    torch.save({"other": 1}, tmp_path / "run/checkpoint.pt")
    with pytest.raises(ModelError, match="a checkpoint with a step"):
        load_checkpoint(tmp_path / "run")


def test_models_that_do_not_fit_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    path = train(replace(config, steps=2, validation=None), tmp_path / "run")
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
