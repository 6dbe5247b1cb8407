"""Plans that ship add up at both scales; those that do not are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs the train extra")

from ladle_rt.cli import experiment_command
from ladle_rt.errors import ConfigError, DatasetError, LadleError, ModelError
from ladle_rt.experiments.arm_configs import Shortened, resolve_experiment
from ladle_rt.experiments.experiment_plan import (
    SCALES,
    ScaleName,
    experiment_names,
    experiments_in_order,
    open_experiment,
)
from ladle_rt.models.registry import preset_config

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "roadscene",
    "msrs",
    "m3fd",
    "flir-crops",
    "kaist-mini",
    "metu-vistir",
    "more-pairs/m3svd",
    "more-pairs/wisard",
    "more-pairs/vifb",
    "more-pairs/irsurvey-palette",
    "more-pairs/starain",
    "video-pairs",
    "kaist",
)


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    for name in FOLDERS:
        (tmp_path / "datasets" / name).mkdir(parents=True)
    return tmp_path / "datasets"


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", experiment_names())
def test_plans_that_ship_resolve_at_both_scales(
    name: str, scale: ScaleName, datasets: Path
) -> None:
    found = resolve_experiment(*open_experiment(name), scale, datasets, {})
    assert found.seeds == (found.seeds if scale == "small" else 3)
    for run in found.runs:
        preset_config(run.config.architecture, run.config.preset)
        assert run.config.validation == ()
    # What is said about an arm must not depend on a preset that only one scale has.
    presets = {run.config.preset for run in found.runs}
    assert scale == "kaist" or not any(preset.startswith("paper") for preset in presets)
    short = resolve_experiment(*open_experiment(name), scale, datasets, {}, Shortened(steps=3))
    assert all(run.config.steps <= 4 and run.config.epochs is None for run in short.runs)


def test_a_checkout_shows_the_plans_among_the_benchmarks() -> None:
    shown = {path.stem for path in (ROOT / "benchmarks" / "experiments").glob("*.toml")}
    assert shown == set(experiment_names()) == set(experiments_in_order())


def test_every_experiment_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "guide" / "experiments.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in guide for name in experiment_names())


def test_a_checkpoint_takes_the_place_of_its_stand_in(datasets: Path, tmp_path: Path) -> None:
    file = tmp_path / "deeplab.pth"
    file.write_bytes(b"weights")
    plan = open_experiment("networks")

    def handle(given: dict[str, Path]) -> tuple[bool, str | None]:
        found = resolve_experiment(*plan, "small", datasets, given)
        (run,) = [r for r in found.runs if r.arm.name == "LadleNet+, Cityscapes" and r.seed == 1]
        return run.pretraining is not None, run.config.handle_weights

    assert handle({}) == (True, None)
    assert handle({"cityscapes": file}) == (False, str(file))
    kaist = resolve_experiment(*plan, "kaist", datasets, {})
    assert kaist.skipped["LadleNet+, Cityscapes"] == "needs --checkpoint cityscapes=FILE"
    with pytest.raises(ModelError, match="checkpoint cityscapes: expected a file, found none"):
        handle({"cityscapes": tmp_path / "none.pth"})


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('reference = "L1"', 'reference = "L2"', "reference must be an arm; did you mean L1?"),
        ('name = "both"', 'name = "L1"', "arms need names that differ, received 'L1' twice"),
        ("question =", "qestion =", "unknown key 'qestion'; did you mean question?"),
        ("loss.alpha = 0.0", "loss.alpha = 7.0", "arm 'L1': alpha must be in [0, 1]"),
        ("loss.alpha = 0.0", "batches = 7", "arm 'L1': recipe: unknown key 'batches'"),
        ("seeds = 2", "seeds = 0", "seeds must be >= 1, received 0"),
        ("(\\d)_", "(\\d", "drive of tiny: expected a pattern"),
        ('skipped.all = "no', 'skipped.huge = "no', "skipped of arm 'boxes' must be by scale"),
        ('name = "both"', 'name = "both"\nextends = "boxes"', "must be an arm before it"),
    ],
)
def test_plans_that_do_not_add_up(
    before: str, after: str, message: str, plan_file: Path, data_root: Path
) -> None:
    text = plan_file.read_text()
    assert before in text
    plan_file.write_text(text.replace(before, after, 1))
    with pytest.raises(ConfigError) as caught:
        resolve_experiment(*open_experiment(str(plan_file)), "small", data_root, {})
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["alfa"], ConfigError, "no experiment 'alfa'; did you mean alpha?"),
        (["none.toml"], ConfigError, "none.toml: expected a TOML experiment"),
        (["alpha"], DatasetError, "missing: roadscene, msrs, m3fd, kaist-mini, metu-vistir"),
        (["alpha", "--scale", "kaist"], DatasetError, "missing: kaist"),
    ],
)
def test_refused_before_anything_starts(
    words: list[str], kind: type[LadleError], message: str, tmp_path: Path
) -> None:
    run = [*words, "--data-root", str(tmp_path), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(experiment_command.command, run)
    assert isinstance(result.exception, kind), result.exception
    assert message in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_help_lists_every_experiment() -> None:
    shown = CliRunner().invoke(experiment_command.command, ["--help"]).stdout
    assert all(f"\n  {name} " in shown for name in experiment_names())


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_runs_to_its_end(name: str, shared_data: Path, tmp_path: Path) -> None:
    words = ["--steps", "3", "--seeds", "1", "--batch", "2", "--subset", "4", "--workers", "0"]
    run = [name, "--data-root", str(shared_data), "-o", str(tmp_path), *words]
    result = CliRunner().invoke(experiment_command.command, run)
    assert result.exit_code == 0, result.exception
    table = (tmp_path / name / "table.md").read_text()
    assert "All frames" in table and "Incomplete" not in table
