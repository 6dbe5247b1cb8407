"""``ladle-rt train`` and ``export``: refused before anything starts, or run and resumed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from ladle_rt.cli import export_command, train_command
from ladle_rt.errors import (
    ConfigError,
    DatasetError,
    InputNotFoundError,
    LadleError,
    ModelError,
)
from ladle_rt.training.resolve import recipe_names


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder in ("ir", "vi"):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
        for number in range(3):
            picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (260, 200))
            cv2.imwrite(str(tmp_path / "pairs" / folder / f"{number}.png"), picture)
    return tmp_path / "pairs"


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--alpha", "2"], ConfigError, "alpha must be in [0, 1], received 2.0"),
        (["--batch", "0"], ConfigError, "batch must be >= 1"),
        (["--batch", "9"], ConfigError, "at most the 3 pairs"),
        (["--subset", "2", "--batch", "3"], ConfigError, "at most the 2 pairs"),
        (["--subset", "0"], ConfigError, "subset must be >= 1, received 0"),
        (["--preset", "huge"], ConfigError, "preset of ladlenet must be one of"),
        (["--architecture", "gan"], ConfigError, "architecture must be one of"),
        (["--recipe", "none"], ConfigError, "recipe must be one of"),
        (["--config", "none.toml"], ConfigError, "none.toml: expected a TOML recipe"),
        (["--steps", "2", "--epochs", "2"], ConfigError, "steps or epochs, received both"),
        (["--split", "night"], DatasetError, "split must be one of"),
        (["--freeze-handle"], ConfigError, "need a network with a segmentation Handle"),
        (["--handle-weights", "imagenet"], ConfigError, "received ladlenet"),
        (["--distill", "1"], ConfigError, "a teacher and the loss weight distill go together"),
        (["--teacher", "none.safetensors"], ModelError, "none.safetensors: no such file"),
        (["--device", "tpu"], ConfigError, "device must be auto, cpu, cuda"),
        (["--validate", "missing"], InputNotFoundError, "expected a dataset folder"),
        (["--data", "missing"], InputNotFoundError, "expected a dataset folder"),
        ([], ConfigError, "at least one dataset"),
    ],
)
def test_refused_before_anything_starts(
    pairs: Path, tmp_path: Path, words: list[str], kind: type[LadleError], message: str
) -> None:
    data = [] if not words or "--recipe" in words else ["--data", str(pairs)]
    # The last --batch wins.
    run = [*data, "--batch", "2", *words, "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(train_command.command, run)
    assert isinstance(result.exception, kind), result.exception
    assert message in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_used_is_one_line(pairs: Path, tmp_path: Path) -> None:
    def refusal(*words: str) -> str:
        run = [*words, "--batch", "1", "-o", str(tmp_path / "run")]
        result = CliRunner().invoke(train_command.command, run)
        assert isinstance(result.exception, LadleError), result.exception
        assert "\n" not in str(result.exception)
        return str(result.exception)

    (tmp_path / "empty").mkdir()
    assert "recognised none" in refusal("--data", str(tmp_path / "empty"))
    listed = tmp_path / "list.txt"
    listed.write_text("0\nnowhere\n")
    toml = tmp_path / "mine.toml"
    toml.write_text(f'[[data]]\npath = "{pairs}"\nimage_list = "{listed}"\n')
    assert "1 of 2 listed images are not in the dataset, first 'nowhere'" in refusal(
        "--config", str(toml)
    )
    square = np.zeros((200, 200, 3), np.uint8)
    for path in (pairs / "vi").iterdir():
        cv2.imwrite(str(path), square)
    assert "expected one aspect ratio" in refusal("--data", str(pairs))
    for path in (pairs / "vi").iterdir():
        path.unlink()
    assert not (tmp_path / "run").exists()
    assert "no thermal image has a visible partner" in refusal("--data", str(pairs))


def test_help_names_every_option_and_recipe() -> None:
    shown = CliRunner().invoke(train_command.command, ["--help"]).stdout
    for parameter in train_command.command.params:
        assert all(word in shown for word in parameter.opts + parameter.secondary_opts)
    named = [name for names in train_command.GROUPS.values() for name in names]
    assert sorted(named) == sorted(
        parameter.name or "" for parameter in train_command.command.params
    )
    for recipe in recipe_names():
        assert f"\n  {recipe} " in shown


def test_leaky_split_is_written_down(shared_data: Path, tmp_path: Path) -> None:
    words = ["--data", "kaist-mini", "--data-root", str(shared_data), "--leaky-random-split"]
    words += ["--preset", "nano", "--batch", "2", "--steps", "1", "--workers", "0", "-o"]
    result = CliRunner().invoke(train_command.command, [*words, str(tmp_path / "run")])
    assert result.exit_code == 0, result.exception
    facts = json.loads((tmp_path / "run/last.json").read_text())["training"]
    assert facts["pairs"] == {"kaist-mini": 8}
    assert facts["config"]["data"][0]["split"] == "leaky-train"
    assert facts["config"]["validation"][0]["split"] == "leaky-test"


def test_smoke_run_of_a_config(pairs: Path, tmp_path: Path) -> None:
    toml = tmp_path / "mine.toml"
    toml.write_text('preset = "nano"\nepochs = 500\nbatch = 3\nworkers = 0\n')
    words = ["--config", str(toml), "--data", str(pairs), "--subset", "2", "--batch", "2"]
    result = CliRunner().invoke(train_command.command, [*words, "-o", str(tmp_path / "run")])
    assert result.exit_code == 0, result.exception
    held = json.loads((tmp_path / "run/config.json").read_text())
    assert (held["epochs"], held["checkpoint_every"], held["data"][0]["subset"]) == (2, 1, 2)
    assert (tmp_path / "run/last.safetensors").is_file()


DIES_WRITING = """
import os, signal, sys, torch
save, calls = torch.save, []
def dying(state, target, *rest, **more):
    calls.append(target)
    if len(calls) == 2:
        with open(target, "wb") as stream:
            stream.write(b"half of a checkpoint")
        os.kill(os.getpid(), signal.SIGKILL)
    save(state, target, *rest, **more)
torch.save = dying
from ladle_rt.cli import main
main()
"""
"""Kills itself in the middle of writing its second checkpoint."""


@pytest.mark.parametrize(
    "architecture", [pytest.param("ladlenet", marks=pytest.mark.slow), "ladlenet-plus"]
)
def test_killed_on_real_data_and_resumed(
    shared_data: Path, tmp_path: Path, architecture: str
) -> None:
    words = ["--data", "kaist-mini", "--data", "roadscene", "--data-root", str(shared_data)]
    words += ["--architecture", architecture, "--preset", "nano", "--batch", "2", "--workers", "0"]
    words += ["--steps", "3", "--checkpoint-every", "1", "--device", "cpu", "-o"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = CliRunner().invoke(train_command.command, [*words, str(whole)])
    assert result.exit_code == 0, result.exception
    died = subprocess.run(
        [sys.executable, "-c", DIES_WRITING, "train", *words, str(killed)], check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert not (killed / "last.safetensors").exists()
    result = CliRunner().invoke(train_command.command, [*words, str(killed), "--resume"])
    assert result.exit_code == 0, result.exception
    last = "last.safetensors"
    assert (killed / last).read_bytes() == (whole / last).read_bytes()
    assert {path.name for path in killed.iterdir()} == {path.name for path in whole.iterdir()}
    facts = json.loads((killed / "last.json").read_text())
    assert facts["training"]["pairs"] == {"kaist-mini": 10, "roadscene": 146}


def test_run_and_resume(pairs: Path, tmp_path: Path) -> None:
    """What is trained is exported and used in tests/test_readme.py."""
    words = ["--data", str(pairs), "--validate", str(pairs), "--preset", "nano", "--batch", "2"]
    words += ["--workers", "0", "--steps", "2", "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(train_command.command, words)
    assert result.exit_code == 0, result.exception
    assert "2/2 regression  loss" in result.stderr and "SSIM" in result.stderr
    best = tmp_path / "run" / "best.safetensors"
    assert str(best) in result.stdout
    assert isinstance(CliRunner().invoke(train_command.command, words).exception, ConfigError)
    assert CliRunner().invoke(train_command.command, [*words, "--resume"]).exit_code == 0
    assert best.is_file()


def test_a_checkpoint_that_is_missing_is_not_exported(tmp_path: Path) -> None:
    words = [str(tmp_path / "none.safetensors"), "-o", str(tmp_path / "m.onnx")]
    missing = CliRunner().invoke(export_command.command, words)
    assert isinstance(missing.exception, ModelError)
