"""The parts of a run: schedule, optimisers, frozen Handles, averages."""

from __future__ import annotations

import logging
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ladle_rt.errors import ConfigError, TrainingError
from ladle_rt.models.ladlenet import LadleNet, LadleNetConfig
from ladle_rt.models.registry import ARCHITECTURES, Architecture
from ladle_rt.models.weights import load_model
from ladle_rt.training import adversary
from ladle_rt.training.checkpoint import load_checkpoint
from ladle_rt.training.distributed import Processes
from ladle_rt.training.log import COLUMNS
from ladle_rt.training.loop import train
from ladle_rt.training.network_setup import averaged
from ladle_rt.training.phases import Phase
from ladle_rt.training.run_failures import OVERFLOWS_IN_A_ROW
from ladle_rt.training.run_state import capture, restore
from ladle_rt.training.samples import MixedSamples, Sample
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig
from ladle_rt.training.training_run import Run

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture
def config(pairs_folder: Path) -> TrainConfig:
    return TrainConfig(
        data=(DataSpec(pairs_folder),),
        preset="nano",
        crop=(64, 64),
        steps=12,
        batch=2,
        warmup=2,
        learning_rate=1.0,
        ema=0.0,
        workers=0,
        loss=LossConfig(alpha=0),
    )


def started(config: TrainConfig) -> Run:
    run = Run(config, MixedSamples(config), ALONE)
    run.start()
    return run


def stacked(samples: list[Sample]) -> Sample:
    return Sample(*(torch.stack(tensors) for tensors in zip(*samples, strict=True)))


def test_schedules(config: TrainConfig) -> None:
    run = started(config)
    rates = [run.learning_rate(step) for step in range(13)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[7] == pytest.approx(0.5) and rates[12] == pytest.approx(0)
    assert rates[3] == pytest.approx(0.5 * (1 + math.cos(math.pi / 10)))
    constant = started(replace(config, schedule="constant"))
    assert {constant.learning_rate(step) for step in range(13)} == {1.0}


def test_optimisers(config: TrainConfig) -> None:
    assert type(started(config).optimizer) is torch.optim.AdamW
    adam = started(replace(config, optimizer="adam")).optimizer
    assert type(adam) is torch.optim.Adam and adam.defaults["amsgrad"]


class WithHandle(LadleNet):
    """A network that can freeze its Handle, as LadleNet+ does."""

    def freeze_handle(self) -> None:
        """No gradients for the Handle."""
        self.handle.requires_grad_(False)

    def train(self, mode: bool = True) -> WithHandle:
        """The frozen Handle stays in evaluation mode."""
        super().train(mode)
        if not next(self.handle.parameters()).requires_grad:
            self.handle.eval()
        return self


@pytest.fixture
def handled(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """A run whose network has a Handle with weights to load: all of them 0.01."""
    nano: LadleNetConfig = ARCHITECTURES["ladlenet"].presets["nano"]
    entry = Architecture(LadleNetConfig, WithHandle, {"nano": nano})
    monkeypatch.setitem(ARCHITECTURES, "with-handle", entry)

    def load_handle_weights(model: nn.Module, source: str) -> Any:
        for parameter in model.get_submodule("handle").parameters():
            nn.init.constant_(parameter, 0.01)
        return SimpleNamespace(missing=["head.weight"], unexpected=["aux.bias", "aux.weight"])

    module = ModuleType("ladle_rt.models.handles.pretrained")
    module.load_handle_weights = load_handle_weights  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return replace(
        config,
        architecture="with-handle",
        handle_weights="/secret/cityscapes.pth",
        freeze_handle=True,
        learning_rate=1e-2,
        ema=0.5,
        steps=4,
        checkpoint_every=2,
    )


def test_handle_starts_from_weights_and_stays_frozen(
    handled: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        path = train(handled, tmp_path / "run", device="cpu")
    assert caplog.messages == [
        "cityscapes.pth: 1 missing tensors: head.weight",
        "cityscapes.pth: 2 unexpected tensors: aux.bias, aux.weight",
    ]
    model, info = load_model(path)
    assert all((p == 0.01).all() for p in model.get_submodule("handle").parameters())
    buffers = dict(model.get_submodule("handle").named_buffers())
    assert {int(v) for k, v in buffers.items() if k.endswith("tracked")} == {0}
    assert not all((p == p.flatten()[0]).all() for p in model.get_submodule("bowl").parameters())
    assert info.training["config"]["handle_weights"] == "cityscapes.pth"
    assert "secret" not in path.with_suffix(".json").read_text()


def test_frozen_run_resumes_on_the_same_path(handled: TrainConfig, tmp_path: Path) -> None:
    whole = train(handled, tmp_path / "whole", device="cpu")
    run = started(handled)
    assert len(run.optimizer.param_groups[0]["params"]) < len(list(run.model.parameters()))
    samples = [run.samples[index] for index in range(4)]
    for step in (0, 1):
        part = samples[2 * step : 2 * step + 2]
        run.advance(stacked(part))
    state = capture(run)
    resumed = Run(handled, MixedSamples(handled), ALONE)
    resumed.start(fresh=False)
    restore(resumed, state)
    for step in (2, 3):
        part = [resumed.samples[2 * step], resumed.samples[2 * step + 1]]
        resumed.advance(stacked(part))
    expected, _ = load_model(whole)
    for name, tensor in resumed.averaged.state_dict().items():
        assert torch.equal(tensor, expected.state_dict()[name]), name


class SmallDiscriminator(nn.Module):
    """Stands in for the 70x70 PatchGAN."""

    def __init__(self, **_: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 4, 4, 4), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4, 4)
        )

    def forward(self, thermal: Tensor, rgb: Tensor) -> Tensor:
        """[N,1,H,W] and [N,3,H,W] to logits of patches."""
        logits: Tensor = self.layers(torch.cat([thermal, rgb], dim=1))
        return logits


def test_adversarial_run_resumes_on_the_same_path(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adversary, "PatchDiscriminator", SmallDiscriminator)
    loss = LossConfig(alpha=0, adversarial=0.1, stability=1.0)
    phases = (Phase("regression", 1), Phase("discriminator", 1), Phase("adversarial", 2, warmup=1))
    config = replace(
        config, loss=loss, steps=4, phases=phases, checkpoint_every=2, learning_rate=1e-3
    )
    whole = train(config, tmp_path / "whole", device="cpu")
    advance = Run.advance

    def stopped(self: Run, batch: Sample) -> dict[str, float]:
        if self.step == 3:
            raise KeyboardInterrupt
        return advance(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "cut", device="cpu")
    resumed = train(config, tmp_path / "cut", resume=True, device="cpu")
    assert resumed.read_bytes() == whole.read_bytes()
    first, second = (load_checkpoint(tmp_path / name) for name in ("whole", "cut"))
    assert first is not None and second is not None
    for name, tensor in first["objective"]["discriminator"].items():
        assert torch.equal(tensor, second["objective"]["discriminator"][name]), name
    row = (tmp_path / "cut" / "log.csv").read_text().splitlines()[-1].split(",")
    columns = dict(zip(COLUMNS, row, strict=True))
    assert float(columns["adversarial"]) > 0 and float(columns["discriminator"]) > 0


def test_the_discriminator_phase_leaves_the_network_alone(config: TrainConfig) -> None:
    loss = LossConfig(alpha=0, adversarial=0.1)
    phases = (Phase("discriminator", 2), Phase("adversarial", 10))
    run = started(replace(config, loss=loss, phases=phases))
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    values = run.advance(stacked([run.samples[0], run.samples[1]]))
    assert values.keys() == {"loss", "discriminator"} and run.step == 1
    assert all(torch.equal(before[name], t) for name, t in run.model.state_dict().items())
    assert run.objective.adversary is not None and run.objective.adversary.optimizer.state


def test_phases_have_schedules_of_their_own(config: TrainConfig) -> None:
    phases = (Phase("regression", 6), Phase("regression", 6, learning_rate=0.1, warmup=0))
    run = started(replace(config, phases=phases))
    rates = [run.learning_rate(step) for step in range(12)]
    assert rates[0] == 0.5 and rates[2] == 1.0 and rates[5] < 0.2
    assert rates[6] == 0.1 and rates[6:] == sorted(rates[6:], reverse=True)


def test_fine_tuning_starts_from_a_model(
    config: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = replace(config, steps=1, learning_rate=1e-3)
    first = train(small, tmp_path / "first", device="cpu")
    tuned = started(replace(small, init=first, seed=5))
    expected = load_model(first)[0].state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in tuned.model.state_dict().items())
    assert not caplog.records
    path = train(replace(small, init=first), tmp_path / "second", device="cpu")
    assert load_model(path)[1].training["config"]["init"] == first.name
    other = replace(small, init=first, thermal=replace(config.thermal, mid_target=0.3))
    with pytest.raises(ConfigError, match="with the run's thermal normalisation, received"):
        started(other)


def test_average_follows_slowly() -> None:
    model = nn.BatchNorm2d(1)
    average = averaged(model, 0.9)
    values = [1.0, 2.0, 3.0]
    expected = 0.0
    for updates, value in enumerate(values):
        nn.init.constant_(model.weight, value)
        model.get_buffer("num_batches_tracked").fill_(updates)
        average.update_parameters(model)
        decay = (1 + updates) / (10 + updates) if updates else 0.0
        expected = decay * expected + (1 - decay) * value
    assert float(average.module.get_parameter("weight")) == pytest.approx(expected)
    assert int(average.module.get_buffer("num_batches_tracked")) == 2
    assert not average.module.training and not average.module.get_parameter("weight").requires_grad


def test_overflow_of_fp16_is_skipped_until_it_does_not_end(config: TrainConfig) -> None:
    run = started(config)
    # The scaler of a GPU run; on the CPU it works on fp32 too.
    run.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    batch = stacked([run.samples[0], run.samples[1]])
    handle = run.parameters[0].register_hook(_infinite)
    before = {name: tensor.clone() for name, tensor in run.model.named_parameters()}
    for _ in range(3):
        run.advance(batch)
    assert run.step == 3 and run.scaler.get_scale() == 2.0**13
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.model.named_parameters())
    handle.remove()
    run.advance(batch)
    assert run.overflows == 0
    assert not torch.equal(run.parameters[0], next(iter(before.values())))
    run.parameters[0].register_hook(_infinite)
    for _ in range(OVERFLOWS_IN_A_ROW - 1):
        run.advance(batch)
    with pytest.raises(TrainingError, match=f"step {4 + OVERFLOWS_IN_A_ROW}: expected a finite"):
        run.advance(batch)


def _infinite(gradient: Tensor) -> Tensor:
    return gradient / 0
