"""Several processes make the run that one makes, and none of them is left waiting."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import ladle_rt
from ladle_rt.errors import ConfigError
from ladle_rt.training import loop, training_run
from ladle_rt.training.checkpoint import load_checkpoint
from ladle_rt.training.distributed import Processes, check_batch, find_device
from ladle_rt.training.resolve import resolve_config
from ladle_rt.training.samples import Sample

RECIPE = """
preset = "nano"
crop = [64, 64]
steps = 6
batch = 4
warmup = 2
ema = 0.5
checkpoint_every = 4
workers = 0
[loss]
alpha = 0.0
chroma = 1.0
saturation = 1.0
[[data]]
path = "pairs"
"""
SCRIPT = """
import sys
import torch
from ladle_rt.cli import main
from ladle_rt.errors import DatasetError
from ladle_rt.training import loop, training_run

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
loop.LOG_EVERY = 1
advance = training_run.Run.advance

def failing(self, batch):
    if self.step == 5 and self.processes.rank == 1:
        raise DatasetError("pair 7 cannot be read")
    doubled = {n: t.double() for n, t in batch._asdict().items() if t.is_floating_point()}
    return advance(self, batch._replace(**doubled))

training_run.Run.advance = failing
main()
"""


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks in float64, every step logged.

    In float32 the gradients of a fresh network differ by half a per cent between two orders of
    one batch, and Adam's first steps turn the sign of noise into whole steps.
    """
    advance = training_run.Run.advance

    def exact(self: training_run.Run, batch: Sample) -> dict[str, float]:
        doubled = {n: t.double() for n, t in batch._asdict().items() if t.is_floating_point()}
        return advance(self, batch._replace(**doubled))

    monkeypatch.setattr(training_run.Run, "advance", exact)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_two_processes_make_the_run_of_one(
    pairs_folder: Path, tmp_path: Path, double: None
) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "script.py").write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    words = ["train", "--config", str(tmp_path / "recipe.toml"), "--data-root", str(tmp_path)]
    done = subprocess.run(
        [*torchrun, "2", str(tmp_path / "script.py"), *words, "-o", str(tmp_path / "two")],
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(ladle_rt.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    # The second process failed in its sixth step: one line says so, and the first one, which
    # was waiting for it, ended without another.
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("ladle-rt:")]
    assert lines == ["ladle-rt: error: pair 7 cannot be read"], done.stderr
    assert "gloo" not in done.stderr
    state = load_checkpoint(tmp_path / "two")
    assert state is not None and state["step"] == 4
    assert [row["step"] for row in rows(tmp_path / "two")] == ["1", "2", "3", "4", "5"]
    assert [path.name for path in (tmp_path / "two").glob("*.safetensors")] == []

    config = resolve_config(tmp_path / "recipe.toml", None, tmp_path, {})
    whole = loop.train(config, tmp_path / "one", device="cpu")
    resumed = loop.train(config, tmp_path / "two", resume=True, device="cpu")
    for name in ("loss", "l1", "chroma", "saturation", "grad_norm", "learning_rate"):
        two, one = ([float(row[name]) for row in rows(tmp_path / n)] for n in ("two", "one"))
        assert len(one) == 6
        assert two == pytest.approx(one, rel=1e-4), name
    expected, received = load_file(whole), load_file(resumed)
    for name, tensor in expected.items():
        assert torch.allclose(received[name], tensor, rtol=1e-4, atol=1e-6), name


def test_batches_are_shared_evenly() -> None:
    shares = [Processes(rank, 3, torch.device("cpu")).slice(range(12, 18)) for rank in range(3)]
    assert shares == [range(12, 14), range(14, 16), range(16, 18)]
    with pytest.raises(ConfigError, match="received 8 for 3; try 6"):
        check_batch(8, 3)
    with pytest.raises(ConfigError, match="received 2 for 4; try 4"):
        check_batch(2, 4)
    check_batch(9, 3)


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:x", "cuda0", ""])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="device must be auto, cpu, cuda or cuda:N"):
        find_device(name)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="expected a CUDA device 0, found 0 of them"):
        find_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("auto") == torch.device("cuda", 0)
    assert find_device("cuda:1") == find_device("auto", 1) == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="device 2, found 2"):
        find_device("cuda", 2)
    with pytest.raises(ConfigError, match="each takes the GPU of its number, received cuda:1"):
        find_device("cuda:1", 0)


def test_one_process_calls_the_network_itself() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    assert Processes(0, 1, torch.device("cpu")).parallel(model) is model
