"""Runs: they learn, resume on the very same path after a kill, and leave whole files."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ladle_rt.errors import ConfigError, InputError, TrainingError, TrainingStoppedError
from ladle_rt.models.weights import load_model
from ladle_rt.training import loop, network_setup, training_run
from ladle_rt.training.checkpoint import load_checkpoint
from ladle_rt.training.distributed import Processes
from ladle_rt.training.loader import load_batches
from ladle_rt.training.loop import Progress, train
from ladle_rt.training.samples import MixedSamples, Sample
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig


@pytest.fixture
def config(pairs_folder: Path) -> TrainConfig:
    return TrainConfig(
        data=(DataSpec(pairs_folder),),
        validation=(DataSpec(pairs_folder, subset=2),),
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


@pytest.fixture
def small(config: TrainConfig) -> TrainConfig:
    """Quick steps: small crops, so no MS-SSIM and no validation."""
    return replace(config, validation=(), crop=(64, 64), loss=LossConfig(alpha=0, chroma=1))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as stream:
        return list(csv.DictReader(stream))


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
    assert [p.step for p in seen] == [1, 3, 6] and all(p.scores for p in seen[1:])
    assert seen[-1].overall.samples_per_s > 0 and 0 <= seen[-1].overall.data_wait < 1
    model, info = load_model(best)
    assert info.thermal == config.thermal and info.parameters == sum(
        p.numel() for p in model.parameters()
    )
    assert str(tmp_path) not in (best.with_suffix(".json")).read_text()
    with pytest.raises(ConfigError, match="already holds a run; add --resume"):
        train(config, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"other settings \(seed\)"):
        train(replace(config, seed=9), tmp_path / "run", resume=True)


def test_loss_falls(small: TrainConfig, tmp_path: Path) -> None:
    train(replace(small, steps=40, learning_rate=1e-2), tmp_path / "run")
    logged = rows(tmp_path / "run")
    assert [row["step"] for row in logged] == ["20", "40"]
    assert float(logged[-1]["l1"]) < 0.8 * float(logged[0]["l1"])
    _, info = load_model(tmp_path / "run/last.safetensors")
    assert info.metrics == {}


def test_resume_after_kill_is_bit_identical(config: TrainConfig, tmp_path: Path) -> None:
    whole = train(config, tmp_path / "whole")
    script = (
        "import json, os, pathlib, signal, sys, torch\n"
        "from ladle_rt.training import loop, training_run as run\n"
        "from ladle_rt.training.train_config import config_from_values\n"
        # Sums over another number of threads have other roundings.
        f"torch.set_num_threads({torch.get_num_threads()})\n"
        "values = json.loads(sys.argv[1])\n"
        "advance = run.Run.advance\n"
        "def dying(self, batch):\n"
        "    if self.step == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return advance(self, batch)\n"
        "run.Run.advance = dying\n"
        "loop.train(config_from_values(values), pathlib.Path(sys.argv[2]), device='cpu')\n"
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
    assert [row["step"] for row in rows(tmp_path / "killed")] == ["3", "6"]
    # A run that has ended stays what it is.
    facts = (tmp_path / "whole" / "last.json").read_text()
    train(config, tmp_path / "whole", resume=True)
    assert (tmp_path / "whole" / "last.json").read_text() == facts
    assert json.loads(facts)["metrics"]["validation"]["step"] == 6


def test_stopped_at_any_step_and_resumed(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", 2)
    small = replace(small, loss=replace(small.loss, stability=1.0), checkpoint_every=100)
    train(small, tmp_path / "whole")
    stop = threading.Event()
    advance = training_run.Run.advance

    def asked(self: training_run.Run, batch: Sample) -> dict[str, float]:
        if self.step == 2:
            stop.set()
        return advance(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(training_run.Run, "advance", asked)
        with pytest.raises(TrainingStoppedError, match=r"stopped after step 3 of 6, which .*cut"):
            train(small, tmp_path / "cut", stop=stop)
    assert [row["step"] for row in rows(tmp_path / "cut")] == ["2", "3"]
    assert load_checkpoint(tmp_path / "cut")["step"] == 3
    train(small, tmp_path / "cut", resume=True)
    last = "last.safetensors"
    assert (tmp_path / "cut" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()
    assert [row["step"] for row in rows(tmp_path / "cut")] == ["2", "3", "4", "6"]
    # The term is computed at every other step; each row has its mean.
    assert all(float(row["stability"]) > 0 for row in rows(tmp_path / "whole"))


def test_a_signal_to_all_of_its_processes_saves(small: TrainConfig, tmp_path: Path) -> None:
    """As a terminal's Ctrl-C comes, to the loading processes too."""
    toml = tmp_path / "mine.toml"
    toml.write_text('preset = "nano"\ncrop = [64, 64]\n[loss]\nalpha = 0\n')
    words = ["train", "--config", str(toml), "--data", str(small.data[0].path), "--device", "cpu"]
    words += ["--batch", "2", "--workers", "1", "--steps", "100000", "-o", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ladle_rt", *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any(line.startswith("1/100000 ") for line in lines), "the first step is told"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in err
    step = load_checkpoint(tmp_path / "run")["step"]
    assert f"ladle-rt: stopped after step {step} of 100000" in err
    assert rows(tmp_path / "run")[-1]["step"] == str(step)


class Signalled(MixedSamples):
    """Every signal that may end a run comes while a sample is made."""

    def __getitem__(self, index: int) -> Sample:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
        return super().__getitem__(index)


def test_loading_processes_outlive_signals(small: TrainConfig) -> None:
    alone = Processes(0, 1, torch.device("cpu"))
    batches = load_batches(Signalled(small), 0, 1, alone)
    assert [len(batch.thermal) for batch in batches] == [2] * small.steps


def test_dropout_and_speed_settings_survive_resuming(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = network_setup.build

    def with_dropout(*arguments: object) -> torch.nn.Module:
        model = build(*arguments)  # type: ignore[arg-type]
        model.handle_out = torch.nn.Sequential(model.handle_out, torch.nn.Dropout(0.5))
        return model

    monkeypatch.setattr(network_setup, "build", with_dropout)
    train(small, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(training_run.Run, "advance", _failing_at(4, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            train(small, tmp_path / "cut")
    train(replace(small, workers=1, checkpoint_every=3), tmp_path / "cut", resume=True)
    last = "last.safetensors"
    assert (tmp_path / "cut" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


def _failing_at(step: int, error: BaseException) -> object:
    advance = training_run.Run.advance

    def failing(self: training_run.Run, batch: Sample) -> dict[str, float]:
        if self.step == step:
            raise error
        return advance(self, batch)

    return failing


def test_epochs_decide_the_steps(small: TrainConfig, tmp_path: Path) -> None:
    config = replace(small, epochs=2, batch=4)
    seen: list[Progress] = []
    train(config, tmp_path / "run", on_progress=seen.append)
    # Two passes over six pairs in fours.
    assert [(p.step, p.steps) for p in seen] == [(1, 3), (3, 3)]
    assert json.loads((tmp_path / "run/config.json").read_text())["epochs"] == 2
    info = load_model(tmp_path / "run/last.safetensors")[1]
    assert info.training["config"]["steps"] == info.training["step"] == 3
    train(config, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": (200, 256)}, "divisible by 32"),
        ({"crop": (64, 64), "loss": LossConfig(alpha=0)}, "validation scores MS-SSIM on frames"),
        ({"precision": "fp16"}, "precision fp16 needs a CUDA device"),
        ({"freeze_handle": True}, "freeze_handle need.* a network with a segmentation Handle"),
        ({"handle_weights": "imagenet"}, "handle_weights need.* a network with"),
    ],
)
def test_refused_before_anything_is_written(
    config: TrainConfig, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(replace(config, **changes), tmp_path / "run", device="cpu")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_weights_without_their_settings_are_not_mistaken_for_ours(
    small: TrainConfig, tmp_path: Path
) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"of another run")
    for resume in (False, True):
        with pytest.raises(ConfigError, match=r"holds best\.safetensors of a run without its"):
            train(small, tmp_path, resume)


def test_unreadable_pair_is_one_line_from_a_worker(small: TrainConfig, tmp_path: Path) -> None:
    (small.data[0].path / "vi" / "000.png").write_bytes(b"no picture")
    with pytest.raises(InputError) as caught:
        train(replace(small, workers=1, steps=40), tmp_path / "run")
    assert str(caught.value).startswith(str(small.data[0].path / "vi" / "000.png"))
    assert "\n" not in str(caught.value)


def test_tensorboard_has_each_step_once(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    with monkeypatch.context() as patch:
        patch.setattr(training_run.Run, "advance", _failing_at(5, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run", tensorboard=True)
    train(config, tmp_path / "run", resume=True, tensorboard=True)
    log = events.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    log.Reload()
    losses = log.Scalars("training/loss")
    assert [event.step for event in losses] == [1, 2, 3, 4, 5, 6]
    assert losses[-1].value == pytest.approx(float(rows(tmp_path / "run")[-1]["loss"]), rel=1e-5)
    assert [event.step for event in log.Scalars("validation/ssim")] == [3, 6]
    assert [event.step for event in log.Images("sheet")] == [3, 6]


def test_missing_tensorboard_names_the_extra(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r"pip install 'ladle-rt\[train\]'"):
        train(small, tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_numbers_that_are_not_finite_end_the_run(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    advance = training_run.Run.advance

    def poisoned(self: training_run.Run, batch: Sample) -> dict[str, float]:
        if self.step == 3 and fault == "loss":
            batch.visible[1, 0, 0, 0] = float("nan")
        if self.step == 3 and fault == "gradient":
            self.parameters[0].register_hook(lambda gradient: gradient / 0)
        return advance(self, batch)

    monkeypatch.setattr(training_run.Run, "advance", poisoned)
    with pytest.raises(TrainingError) as caught:
        train(small, tmp_path / "run")
    message = str(caught.value)
    assert message.startswith("step 4: expected a finite loss and gradient, received loss ")
    assert ("loss nan" in message and "l1 nan" in message) == (fault == "loss")
    # The two pairs of that batch, and no others.
    samples = training_run.MixedSamples(small)
    assert "; ".join(samples.describe(index) for index in (6, 7)) in message
    assert "\n" not in message
    state = load_checkpoint(tmp_path / "run")
    assert state["step"] == 2
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def test_weights_that_are_not_finite_are_not_saved(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = training_run.Run.advance

    def poisoned(self: training_run.Run, batch: Sample) -> dict[str, float]:
        values = advance(self, batch)
        if self.step == 4:
            self.model.state_dict()["handle.encoder.0.widen.1.running_var"][0] = float("inf")
        return values

    monkeypatch.setattr(training_run.Run, "advance", poisoned)
    with pytest.raises(TrainingError, match=r"in the weights, received others in handle\.enc"):
        train(small, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run")["step"] == 2


@pytest.mark.parametrize("where", ["CPU", "GPU"])
def test_out_of_memory_is_a_hint(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    advance = training_run.Run.advance

    def greedy(self: training_run.Run, batch: Sample) -> dict[str, float]:
        if self.step == 2 and where == "CPU":
            torch.empty(1 << 60, dtype=torch.uint8)
        elif self.step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\n2.00 GiB")
        return advance(self, batch)

    monkeypatch.setattr(training_run.Run, "advance", greedy)
    with pytest.raises(TrainingError) as caught:
        train(small, tmp_path / "run")
    assert "memory with batch 2 of 64x64" in str(caught.value) and "\n" not in str(caught.value)
    assert "try batch 1" in str(caught.value)
    assert ("--precision bf16" in str(caught.value)) == (where == "GPU")
    assert load_checkpoint(tmp_path / "run")["step"] == 2


def test_half_precision_follows_full_precision(small: TrainConfig, tmp_path: Path) -> None:
    config = replace(small, learning_rate=1e-4, steps=3)
    train(config, tmp_path / "fp32")
    train(replace(config, precision="bf16"), tmp_path / "bf16")
    full, half = (rows(tmp_path / name)[-1] for name in ("fp32", "bf16"))
    assert float(half["loss"]) == pytest.approx(float(full["loss"]), rel=0.02)
    assert half["loss"] != full["loss"]
    model, info = load_model(tmp_path / "bf16/last.safetensors")
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    assert info.training["config"]["precision"] == "bf16"


def test_killed_worker_is_one_line(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(self: training_run.MixedSamples, index: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(training_run.MixedSamples, "__getitem__", dying)
    with pytest.raises(TrainingError, match="a data-loading process was killed") as caught:
        train(replace(small, workers=1), tmp_path / "run")
    assert "\n" not in str(caught.value)
