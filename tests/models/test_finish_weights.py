"""The last touches to weights: what they do to a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from model_facts import bare_info
from torch import Tensor, nn

from ladle_rt.cli import cli
from ladle_rt.errors import ModelError
from ladle_rt.models.finish_weights import mean_of, saturated
from ladle_rt.models.registry import build, config_to_dict, preset_config
from ladle_rt.models.weights import load_model, save_model

LUMA = torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)


def network(architecture: str, preset: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(architecture, preset_config(architecture, preset)).eval()


def before_sigmoid(model: nn.Module, weights: dict[str, Tensor]) -> Tensor:
    model.load_state_dict(weights)
    torch.manual_seed(1)
    with torch.no_grad():
        painted = model(torch.rand(1, 1, 64, 96))
    return torch.logit(painted.double(), eps=1e-9)


@pytest.mark.parametrize(
    ("architecture", "preset"), [("ladlenet", "nano"), ("ladlenet-plus", "daylight")]
)
def test_saturation_scales_chroma_and_leaves_luma(architecture: str, preset: str) -> None:
    model = network(architecture, preset)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain = before_sigmoid(model, weights)
    strong = before_sigmoid(model, saturated(weights, 1.5))
    grey, grey_strong = ((image * LUMA).sum(1, keepdim=True) for image in (plain, strong))
    assert plain.std() > 1e-3 and torch.allclose(grey, grey_strong, atol=1e-4)
    assert torch.allclose(strong - grey_strong, 1.5 * (plain - grey), atol=1e-4)


def test_saturation_of_one_changes_nothing_and_other_networks_are_refused() -> None:
    model = network("ladlenet", "nano")
    weights = dict(model.state_dict())
    kept = saturated(weights, 1.0)
    assert all(torch.allclose(kept[name], weights[name], atol=1e-6) for name in weights)
    with pytest.raises(ModelError, match=r"expected a network with bowl_out\.weight"):
        saturated({"other.weight": torch.zeros(3)}, 1.2)


def test_mean_of_two_models() -> None:
    first, second = (dict(network("ladlenet", "nano", seed).state_dict()) for seed in (0, 1))
    mixed = mean_of(first, second, 0.25)
    name = "bowl_out.weight"
    assert torch.allclose(mixed[name], 0.75 * first[name] + 0.25 * second[name])
    assert all(mixed[key].dtype == tensor.dtype for key, tensor in second.items())
    with pytest.raises(ModelError, match="one architecture"):
        mean_of({"a": torch.zeros(2)}, {"a": torch.zeros(3)}, 0.5)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = network("ladlenet", "nano")
    config = preset_config("ladlenet", "nano")
    info = bare_info(
        "mine",
        config=config_to_dict(config),
        size_multiple=config.size_multiple,
        training={"step": 7},
        metrics={"validation": {"ssim": 0.5}},
    )
    path = tmp_path / "mine.safetensors"
    save_model(path, model, info)
    return path


def test_the_command_writes_a_model_that_says_what_was_done(saved: Path) -> None:
    output = saved.with_name("strong.safetensors")
    words = ["finish", str(saved), "-o", str(output), "--saturation", "1.25"]
    words += ["--mean-with", str(saved), "--share", "0.3"]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    model, info = load_model(output)
    assert info.metrics == {} and info.training == {
        "step": 7,
        "finish": {"mean_with": "mine.safetensors", "share": 0.3, "saturation": 1.25},
    }
    before = load_model(saved)[0].state_dict()["bowl_out.weight"]
    assert not torch.equal(model.state_dict()["bowl_out.weight"], before)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-o", "mine.safetensors"], "exists; choose another name or add --overwrite"),
        (["-o", "mine.onnx"], "expected a name that ends in .safetensors"),
        (["-o", "new.safetensors", "--mean-with", "none.safetensors"], "no such file"),
    ],
)
def test_bad_input_is_one_line(
    saved: Path, words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved.parent)
    files = sorted(saved.parent.iterdir())
    done = CliRunner().invoke(cli, ["finish", saved.name, *words])
    assert done.exit_code == 1 and told in str(done.exception or done.output)
    assert sorted(saved.parent.iterdir()) == files
