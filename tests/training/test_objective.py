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
from model_facts import bare_info
from torch import Tensor

from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.models.ladlenet import LadleNetConfig
from ladle_rt.models.registry import build, config_to_dict
from ladle_rt.models.weights import save_model
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.training.adversary import PATIENCE
from ladle_rt.training.data_spec import UnpairedSpec
from ladle_rt.training.objective import TERMS, Objective, TranslatedBatch
from ladle_rt.training.phases import Phase, PhasePosition
from ladle_rt.training.samples import Sample
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig

SIDE = 176
"""The smallest MS-SSIM takes."""
SMALL = LadleNetConfig.of_width(4, levels=2)


def config(**values: Any) -> TrainConfig:
    loss = LossConfig(**{"published": 0, **values.pop("loss", {})})
    return TrainConfig(**{"data": (DataSpec(Path("x")),), "loss": loss, **values})


def sample(thermal: Tensor, truth: Tensor) -> Sample:
    """A batch of scenes, all unsure of what they show."""
    count, _, height, width = truth.shape
    labels = torch.full((count, height // 4, width // 4), 255, dtype=torch.uint8)
    rows = torch.tensor([[0.0, 1.0]]).expand(count, 2)
    none = torch.zeros(count, 0, height, width)
    return Sample(thermal, truth, rows, labels, torch.ones(count), none, rows)


def batch(count: int = 1) -> tuple[Sample, Tensor]:
    """Thermal with truth, and output (a leaf with gradient)."""
    torch.manual_seed(0)
    thermal, output, truth = (torch.rand(count, n, SIDE, SIDE) for n in (1, 3, 3))
    return sample(thermal, truth), output.requires_grad_()


def score(
    objective: Objective, seen: Sample, output: Tensor, **more: Any
) -> tuple[Tensor, dict[str, Tensor]]:
    """The objective in a run of one phase that has all terms."""
    return objective(seen, TranslatedBatch(output, **more), position())


def position(kind: Any = "adversarial", step: int = 0, **values: Any) -> PhasePosition:
    return PhasePosition(Phase(kind, 10, **values), 0, step)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with strong opinions."""
    torch.manual_seed(7)
    model = build("ladlenet", SMALL)
    with torch.no_grad():
        model.bowl_out.weight.mul_(8)
    info = bare_info(
        "teacher",
        config=config_to_dict(SMALL),
        train_size=(SIDE, SIDE),
        size_multiple=SMALL.size_multiple,
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
        ({"blurred": 3.0}, lambda t: 3 * t["blurred"]),
        ({"moments": 3.0}, lambda t: 3 * t["moments"]),
        ({"histogram": 3.0}, lambda t: 3 * t["histogram"]),
        ({"perceptual": 3.0}, lambda t: 3 * t["perceptual"]),
        ({"adversarial": 3.0}, lambda t: 3 * t["adversarial"]),
        (
            {"adversarial": 3.0, "feature_matching": 2.0, "discriminator": "projected"},
            lambda t: 3 * t["adversarial"] + 2 * t["feature_matching"],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_weight_drives_the_output(
    teacher: Path, weights: dict[str, Any], expected: Any
) -> None:
    settings = config(loss=weights, teacher=teacher if "distill" in weights else None)
    seen, output = batch()
    loss, terms = score(Objective(settings), seen, output)
    loss.backward()
    assert loss.item() == pytest.approx(float(expected(terms)), rel=1e-5)
    assert output.grad is not None and torch.isfinite(output.grad).all() and output.grad.any()
    assert set(terms) <= set(TERMS)
    assert all(term.ndim == 0 and not term.requires_grad for term in terms.values())


def test_l2_is_the_mean_square() -> None:
    seen, output = batch()
    _, terms = score(Objective(config(loss={"l2": 1.0})), seen, output)
    assert float(terms["l2"]) == pytest.approx(
        (output - seen.visible).square().mean().item(), rel=1e-5
    )


def test_half_precision_is_compared_in_full(teacher: Path) -> None:
    settings = config(loss={"published": 1, "distill": 1}, teacher=teacher)
    seen, output = batch()
    half = output.detach().bfloat16()
    full, expected = score(Objective(settings), seen, half.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, terms = score(Objective(settings), seen, half)
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
        loss, terms = score(objective, sample(thermal, truth), student(thermal))
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


@pytest.mark.parametrize("kind", ["patch", "projected"])
def test_the_two_steps_of_an_adversary_do_not_mix(kind: str) -> None:
    objective = Objective(config(loss={"adversarial": 1.0, "discriminator": kind}))
    assert objective.adversary is not None
    discriminator = objective.adversary.discriminator
    seen, output = batch()
    before = [parameter.detach().clone() for parameter in discriminator.parameters()]
    score(objective, seen, output)[0].backward()
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    assert output.grad is not None
    reached = output.grad.clone()
    terms = objective.update()
    assert set(terms) == {"discriminator"} and not terms["discriminator"].requires_grad
    assert torch.equal(output.grad, reached)
    after = list(discriminator.parameters())
    assert not all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", ["patch", "projected"])
def test_discriminator_learns_to_tell(kind: str) -> None:
    loss = {"adversarial": 1.0, "discriminator": kind}
    objective = Objective(config(loss=loss, learning_rate=2e-4, discriminator_rate=2e-3))
    seen, output = batch()
    blank = torch.full_like(output, 0.5)
    torch.manual_seed(3)
    first = float(score(objective, seen, blank)[1]["adversarial"])
    losses = []
    for _ in range(4):
        objective.discriminator_inputs(seen, blank, for_discriminator=True)
        losses.append(float(objective.update()["discriminator"]))
    assert losses[-1] < losses[0]
    assert float(score(objective, seen, blank)[1]["adversarial"]) > first


def test_projections_stay_as_they_were_drawn() -> None:
    loss = {"adversarial": 1.0, "discriminator": "projected"}
    objective = Objective(config(loss=loss))
    assert objective.adversary is not None
    before = {k: v.clone() for k, v in objective.adversary.state()["discriminator"].items()}
    seen, output = batch()
    score(objective, seen, output)[0].backward()
    objective.update()
    after = objective.adversary.state()["discriminator"]
    fixed = [name for name in before if name.startswith("across")]
    assert fixed and all(torch.equal(before[name], after[name]) for name in fixed)
    assert not torch.equal(before["judges.0.last.bias"], after["judges.0.last.bias"])


def test_mosaics_are_not_shown_as_real() -> None:
    loss = {"adversarial": 1.0, "discriminator": "projected"}
    objective = Objective(config(loss=loss))
    assert objective.adversary is not None
    seen, output = batch(2)
    mosaics = seen._replace(whole=torch.zeros(2))
    _, terms = score(objective, mosaics, output)
    assert float(terms["adversarial"]) == 0
    objective.update()
    judges = objective.adversary.discriminator.judges
    assert all(not p.grad.any() for p in judges.parameters() if p.grad is not None)


def test_pictures_without_a_truth_are_judged_without_their_thermal_frame() -> None:
    loss = {
        "adversarial": 2.0,
        "histogram": 3.0,
        "unpaired": 0.5,
        "discriminator": "projected",
    }
    footage = (UnpairedSpec(Path("y")),)
    objective = Objective(config(loss=loss, unpaired=footage))
    assert objective.adversary is not None
    seen, output = batch(2)
    free = torch.rand(1, 3, SIDE, SIDE).requires_grad_()
    total, terms = score(objective, seen, output, unpaired=free)
    total.backward()
    assert free.grad is not None and free.grad.any()
    assert float(total.detach()) == pytest.approx(
        2 * float(terms["adversarial"])
        + 3 * float(terms["histogram"])
        + 0.5 * (2 * float(terms["unpaired"]) + 3 * float(terms["unpaired_histogram"])),
        rel=1e-5,
    )
    judges = objective.adversary.discriminator.judges
    assert all(parameter.grad is None for parameter in judges.parameters())
    objective.update()
    assert any(parameter.grad is not None for parameter in judges.parameters())
    # Another thermal frame changes how the pair is judged, and not how the free picture is.
    objective.eval()
    moved = seen._replace(thermal=seen.thermal.roll(40, 3))
    torch.manual_seed(5)
    _, before = score(objective, seen, output, unpaired=free)
    torch.manual_seed(5)
    _, after = score(objective, moved, output, unpaired=free)
    assert float(before["unpaired"]) == float(after["unpaired"])
    assert float(before["adversarial"]) != float(after["adversarial"])


def test_discriminator_learns_to_tell_pictures_without_a_truth() -> None:
    loss = {"adversarial": 1.0, "unpaired": 1.0, "discriminator": "projected"}
    footage = (UnpairedSpec(Path("y")),)
    objective = Objective(config(loss=loss, unpaired=footage, discriminator_rate=2e-3))
    seen, output = batch()
    blank = torch.full_like(output, 0.5)
    torch.manual_seed(3)
    first = float(score(objective, seen, output, unpaired=blank)[1]["unpaired"])
    for _ in range(4):
        # The pair's own picture is its truth: only the free one gives itself away.
        objective.discriminator_inputs(seen, seen.visible, True, blank)
        objective.update()
    assert float(score(objective, seen, output, unpaired=blank)[1]["unpaired"]) > first


def test_a_discriminator_that_has_won_is_told(caplog: pytest.LogCaptureFixture) -> None:
    objective = Objective(config(loss={"adversarial": 1.0}))
    assert objective.adversary is not None
    for _ in range(PATIENCE):
        objective.adversary._watch(0.01)
    assert "the discriminator has won" in caplog.text and len(caplog.records) == 1
    objective.adversary._watch(0.01)
    assert len(caplog.records) == 1


def test_phases_say_which_terms_count() -> None:
    loss = {"published": 1.0, "alpha": 0.0, "adversarial": 1.0, "blurred": 2.0}
    objective = Objective(config(loss=loss))
    seen, output = batch()
    painted = TranslatedBatch(output)
    plain, terms = objective(seen, painted, position("regression"))
    assert "adversarial" not in terms and objective.update() == {}
    assert plain.item() == pytest.approx(float(terms["l1"] + 2 * terms["blurred"]), rel=1e-5)
    half, terms = objective(seen, painted, position(step=4, warmup=10, pixel=0.5))
    expected = 0.5 * terms["l1"] + 2 * terms["blurred"] + 0.5 * terms["adversarial"]
    assert half.item() == pytest.approx(float(expected), rel=1e-5)


def test_stability_is_measured_on_what_both_pictures_show() -> None:
    objective = Objective(config(loss={"stability": 2.0}))
    seen, output = batch(2)
    moved = torch.roll(output[:1].detach(), (3, -5), (2, 3))
    border = moved.clone()
    border[..., :8, :] = 0
    _, terms = score(objective, seen, output, later=border, shift=(3, -5))
    assert float(terms["stability"]) == 0
    loss, terms = score(objective, seen, output, later=moved + 0.1, shift=(3, -5))
    assert float(terms["stability"]) == pytest.approx(0.1, rel=1e-4)
    assert loss.item() == pytest.approx(0.2, rel=1e-4)


def test_semantics_count_labelled_pixels_alone() -> None:
    objective = Objective(config(loss={"semantics": 1.0, "l2": 1e-9}))
    seen, output = batch()
    logits = torch.zeros(1, 19, SIDE // 4, SIDE // 4, requires_grad=True)
    loss, terms = score(objective, seen, output, logits=logits)
    assert float(terms["semantics"]) == 0
    seen.labels[0, 0, 0] = 3
    loss, terms = score(objective, seen, output, logits=logits)
    # One class in nineteen is sky.
    assert float(terms["semantics"]) == pytest.approx(2.944, abs=1e-3)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 10, 0, 0] < 0 and not logits.grad[0, :, 1:].any()


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


@pytest.mark.parametrize("kind", ["patch", "projected"])
def test_restored_adversary_goes_on_bit_for_bit(kind: str) -> None:
    seen, output = batch()
    loss = {"adversarial": 1.0, "discriminator": kind}
    whole = Objective(config(loss=loss))
    whole.discriminator_inputs(seen, output, for_discriminator=True)
    whole.update()
    resumed = Objective(config(loss=loss, seed=9))
    resumed.restore(copy.deepcopy(whole.state()))
    for objective in (whole, resumed):
        torch.manual_seed(1)
        objective.discriminator_inputs(seen, output, for_discriminator=True)
        objective.update()
    left, right = (objective.state()["discriminator"] for objective in (whole, resumed))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_without_an_adversary_there_is_nothing_to_update_or_keep() -> None:
    objective = Objective(config(loss={"l2": 1.0}))
    objective.discriminator_inputs(*batch(), for_discriminator=True)
    assert objective.update() == {} and objective.state() == {}
    objective.restore({})


SHARES_A_BATCH = """
import os, sys
from pathlib import Path
import torch
from torch import distributed
from ladle_rt.training.train_config import DataSpec, LossConfig, TrainConfig
from ladle_rt.training.objective import Objective
from ladle_rt.training.samples import Sample
from ladle_rt.training.sync_norm import synchronise_norms

# A pool of threads would not outlive the fork.
torch.set_num_threads(1)
loss = LossConfig(published=0, adversarial=1)
config = TrainConfig(data=(DataSpec(Path("x")),), crop=(64, 64), loss=loss)
torch.manual_seed(0)
thermal, output, truth = [torch.rand(4, channels, 64, 64) for channels in (1, 3, 3)]


def train(objective, part):
    count = len(thermal[part])
    seen = Sample(thermal[part], truth[part], None, None, torch.ones(count), None, None)
    objective.discriminator_inputs(seen, output[part], for_discriminator=True)
    objective.update()


alone, shared = Objective(config), Objective(config)
# What takes longest is importing torch: once for both.
second = os.fork()
rank = int(not second)
train(alone, slice(None))
init = {"init_method": f"file://{sys.argv[1]}", "rank": rank, "world_size": 2}
distributed.init_process_group("gloo", **init)
synchronise_norms(shared, torch.device("cpu"))
train(shared, slice(2 * rank, 2 * rank + 2))
both = [objective.adversary.discriminator.parameters() for objective in (alone, shared)]
for expected, received in zip(*both, strict=True):
    difference, scale = (expected.grad - received.grad).abs().max(), expected.grad.abs().max()
    assert difference <= 1e-3 * scale + 1e-6, (difference, scale, received.shape)
distributed.destroy_process_group()
if not second:
    # Libraries that were loaded before the fork may wait at the end for threads left behind.
    os._exit(0)
assert os.waitpid(second, 0)[1] == 0
"""


def test_two_processes_train_one_discriminator(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHARES_A_BATCH, str(tmp_path / "store")]
    assert subprocess.run(command, check=False, timeout=240).returncode == 0
