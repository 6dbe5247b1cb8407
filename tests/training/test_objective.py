"""Every gradient path of the objective, and what must get none."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.models.ladlenet import LadleNetConfig
from ladle_rt.models.registry import build, config_to_dict
from ladle_rt.models.weights import save_model
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.training.config import DataSpec, LossConfig, TrainConfig
from ladle_rt.training.objective import TERMS, Objective

SIDE = 176
"""The smallest MS-SSIM takes."""
SMALL = LadleNetConfig.of_width(4, levels=2)


def config(**values: Any) -> TrainConfig:
    loss = LossConfig(**{"published": 0, **values.pop("loss", {})})
    return TrainConfig(**{"data": (DataSpec(Path("x")),), "loss": loss, **values})


def batch(count: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Thermal, output (a leaf with gradient) and truth."""
    torch.manual_seed(0)
    thermal, output, truth = (torch.rand(count, n, SIDE, SIDE) for n in (1, 3, 3))
    return thermal, output.requires_grad_(), truth


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with strong opinions."""
    torch.manual_seed(7)
    model = build("ladlenet", SMALL)
    with torch.no_grad():
        model.bowl_out.weight.mul_(8)
    info = ModelInfo(
        name="teacher",
        architecture="ladlenet",
        config=config_to_dict(SMALL),
        thermal=ThermalNormalization(),
        train_size=(SIDE, SIDE),
        size_multiple=SMALL.size_multiple,
        parameters=0,
        macs=0,
        training={},
        metrics={},
        onnx_sha256="",
    )
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_model(path, model, info)
    return path


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"published": 2.0, "alpha": 0.0}, lambda t: 2 * t["l1"]),
        ({"published": 2.0, "alpha": 1.0}, lambda t: 2 * (1 - t["ms_ssim"])),
        ({"l2": 3.0}, lambda t: 3 * t["l2"]),
        ({"ssim": 3.0}, lambda t: 3 * (1 - t["ssim"])),
        ({"chroma": 3.0}, lambda t: 3 * t["chroma"]),
        ({"saturation": 3.0}, lambda t: 3 * t["saturation"]),
        ({"distill": 3.0}, lambda t: 3 * t["distill"]),
        ({"adversarial": 3.0}, lambda t: 3 * t["adversarial"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_weight_drives_the_output(
    teacher: Path, weights: dict[str, float], expected: Any
) -> None:
    settings = config(loss=weights, teacher=teacher if "distill" in weights else None)
    thermal, output, truth = batch()
    loss, terms = Objective(settings)(thermal, output, truth)
    loss.backward()
    assert loss.item() == pytest.approx(float(expected(terms)), rel=1e-5)
    assert output.grad is not None and torch.isfinite(output.grad).all() and output.grad.any()
    assert set(terms) <= set(TERMS)
    assert all(term.ndim == 0 and not term.requires_grad for term in terms.values())


def test_l2_is_the_mean_square() -> None:
    thermal, output, truth = batch()
    _, terms = Objective(config(loss={"l2": 1.0}))(thermal, output, truth)
    assert float(terms["l2"]) == pytest.approx((output - truth).square().mean().item(), rel=1e-5)


def test_half_precision_is_compared_in_full(teacher: Path) -> None:
    settings = config(loss={"published": 1, "distill": 1}, teacher=teacher)
    thermal, output, truth = batch()
    half = output.detach().bfloat16()
    full, expected = Objective(settings)(thermal, half.float(), truth)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, terms = Objective(settings)(thermal, half, truth)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(full.item(), rel=1e-6)
    assert {k: float(v) for k, v in terms.items()} == pytest.approx(
        {k: float(v) for k, v in expected.items()}, rel=1e-6
    )


def test_student_learns_its_teacher_and_not_the_truth(teacher: Path) -> None:
    objective = Objective(config(loss={"distill": 1.0}, teacher=teacher))
    torch.manual_seed(1)
    student = build("ladlenet", SMALL)
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-2)
    thermal = torch.nn.functional.interpolate(torch.rand(1, 1, 11, 11), SIDE, mode="bilinear")
    truth = torch.zeros(1, 3, SIDE, SIDE)
    history = []
    for _ in range(25):
        loss, terms = objective(thermal, student(thermal), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append((float(terms["distill"]), float(terms["l1"])))
    assert history[-1][0] < 0.3 * history[0][0]
    assert history[-1][1] > 0.2
    assert objective.teacher is not None
    assert not any(parameter.requires_grad for parameter in objective.teacher.parameters())


def test_teacher_stays_in_evaluation_mode(teacher: Path) -> None:
    objective = Objective(config(loss={"distill": 1.0}, teacher=teacher)).train()
    assert objective.training and objective.teacher is not None
    assert not any(module.training for module in objective.teacher.modules())


def test_teachers_that_do_not_fit_are_refused(teacher: Path, tmp_path: Path) -> None:
    settings = config(loss={"distill": 1.0}, teacher=teacher)
    other = ThermalNormalization(mid_target=0.3)
    with pytest.raises(ConfigError, match=r"expects the thermal normalisation .*set \[thermal\]"):
        Objective(replace(settings, thermal=other))
    with pytest.raises(ConfigError, match="divisible by 4, received 202x256"):
        Objective(replace(settings, crop=(202, 256)))
    with pytest.raises(ModelError, match="no such file"):
        Objective(replace(settings, teacher=tmp_path / "none.safetensors"))


def test_the_two_steps_of_an_adversary_do_not_mix() -> None:
    objective = Objective(config(loss={"adversarial": 1.0}))
    assert objective.discriminator is not None
    thermal, output, truth = batch()
    before = [parameter.detach().clone() for parameter in objective.discriminator.parameters()]
    objective(thermal, output, truth)[0].backward()
    assert all(parameter.grad is None for parameter in objective.discriminator.parameters())
    assert output.grad is not None
    reached = output.grad.clone()
    terms = objective.update(thermal, output, truth)
    assert set(terms) == {"discriminator"} and not terms["discriminator"].requires_grad
    assert torch.equal(output.grad, reached)
    after = list(objective.discriminator.parameters())
    assert not all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_discriminator_learns_to_tell() -> None:
    objective = Objective(config(loss={"adversarial": 1.0}, learning_rate=2e-4))
    thermal, output, truth = batch()
    blank = torch.full_like(output, 0.5)
    first = float(objective(thermal, blank, truth)[1]["adversarial"])
    losses = [float(objective.update(thermal, blank, truth)["discriminator"]) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert float(objective(thermal, blank, truth)[1]["adversarial"]) > first


def test_discriminator_is_a_function_of_the_seed() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = Objective(config(loss={"adversarial": 1.0}))
    assert torch.equal(torch.rand(3), expected)
    second, other = (Objective(config(loss={"adversarial": 1.0}, seed=seed)) for seed in (1, 2))
    states = [objective.state()["discriminator"] for objective in (first, second, other)]
    name = next(name for name, tensor in states[0].items() if tensor.ndim == 4)
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


def test_restored_adversary_goes_on_bit_for_bit() -> None:
    thermal, output, truth = batch()
    whole = Objective(config(loss={"adversarial": 1.0}))
    whole.update(thermal, output, truth)
    resumed = Objective(config(loss={"adversarial": 1.0}, seed=9))
    resumed.restore(copy.deepcopy(whole.state()))
    for objective in (whole, resumed):
        objective.update(thermal, output, truth)
    left, right = (objective.state()["discriminator"] for objective in (whole, resumed))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_without_an_adversary_there_is_nothing_to_update_or_keep() -> None:
    objective = Objective(config(loss={"l2": 1.0}))
    assert objective.update(*batch()) == {} and objective.state() == {}
    objective.restore({})


SHARES_A_BATCH = """
import sys
from pathlib import Path
import torch
from torch import distributed
from ladle_rt.training.config import DataSpec, LossConfig, TrainConfig
from ladle_rt.training.objective import Objective
from ladle_rt.training.sync_norm import synchronise_norms

rank, store = int(sys.argv[1]), sys.argv[2]
loss = LossConfig(published=0, adversarial=1)
config = TrainConfig(data=(DataSpec(Path("x")),), crop=(64, 64), loss=loss)
torch.manual_seed(0)
batch = [torch.rand(4, channels, 64, 64) for channels in (1, 3, 3)]
alone, shared = Objective(config), Objective(config)
alone.update(*batch)
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
synchronise_norms(shared, torch.device("cpu"))
shared.update(*[part[2 * rank : 2 * rank + 2] for part in batch])
pairs = zip(alone.discriminator.parameters(), shared.discriminator.parameters(), strict=True)
for expected, received in pairs:
    difference, scale = (expected.grad - received.grad).abs().max(), expected.grad.abs().max()
    assert difference <= 1e-3 * scale + 1e-6, (difference, scale, received.shape)
distributed.destroy_process_group()
"""


def test_two_processes_train_one_discriminator(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", SHARES_A_BATCH, str(rank), str(tmp_path / "store")])
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
