"""An experiment from its plan to its page: stopped, gone on with, not done twice."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")
jsonschema: Any = pytest.importorskip("jsonschema", reason="needs the dev extra")

from safetensors.torch import load_file  # noqa: E402

from ladle_rt.errors import InputError, TrainingStoppedError  # noqa: E402
from ladle_rt.experiments import run_experiment as runner  # noqa: E402
from ladle_rt.experiments.arm_configs import (  # noqa: E402
    PretrainingRun,
    ResolvedExperiment,
    resolve_experiment,
)
from ladle_rt.experiments.experiment_plan import Pretraining, open_experiment  # noqa: E402
from ladle_rt.experiments.experiment_result import read_result  # noqa: E402
from ladle_rt.experiments.handle_pretraining import pretrain_handle  # noqa: E402
from ladle_rt.models.handles.pretrained import load_handle_weights  # noqa: E402
from ladle_rt.models.registry import build, preset_config  # noqa: E402
from ladle_rt.training.train_config import DataSpec  # noqa: E402

SCHEMA = json.loads(Path(runner.__file__).with_name("result_schema.json").read_text())
Silent = Callable[..., Any]


def resolved(plan_file: Path, data_root: Path) -> ResolvedExperiment:
    return resolve_experiment(*open_experiment(str(plan_file)), "small", data_root, {})


def test_stopped_gone_on_with_and_not_done_twice(
    plan_file: Path,
    data_root: Path,
    tmp_path: Path,
    silent: Silent,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, stop = tmp_path / "out", threading.Event()
    experiment = resolved(plan_file, data_root)

    @contextlib.contextmanager
    def stops_in_the_second_run(words: str, steps: int) -> Iterator[Callable[[Any], None]]:
        if words == "both, seed 1":
            stop.set()
        yield lambda progress: None

    part = runner.run_experiment(experiment, out, "test", stops_in_the_second_run, stop)
    assert not part.complete
    held = read_result(out / "tiny/result.json")
    assert {arm.name: arm.status for arm in held.arms[:3]} == {
        "L1": "unfinished",
        "both": "unfinished",
        "boxes": "skipped",
    }
    jsonschema.validate(held.to_dict(), SCHEMA)

    result = runner.run_experiment(experiment, out, "test", silent)
    assert result.complete
    values = json.loads((out / "tiny/result.json").read_text())
    jsonschema.validate(values, SCHEMA)
    assert read_result(out / "tiny/result.json").to_dict() == values
    trained = {arm.name: arm.seeds for arm in result.arms if arm.status == "trained"}
    assert trained == {"L1": (1, 2), "both": (1, 2)}
    baselines = {arm.name for arm in result.arms if arm.status == "baseline"}
    assert baselines == {"mean colour", "grey copy", "inverted grey"}
    (ssim,) = [one for one in result.comparisons if one.metric == "ssim"]
    assert (ssim.arm, ssim.against, ssim.seeds) == ("both", "L1", 2)
    assert ssim.difference.low <= ssim.difference.value <= ssim.difference.high
    assert ssim.claims.keys() == {"12.4"}
    table = (out / "tiny/table.md").read_text()
    assert "| both |" in table and "- boxes: no map of classes" in table
    assert "4 drives" not in table and "2 drives: optimistic" in table

    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("everything is done")

    monkeypatch.setattr(runner, "train", refuse)
    monkeypatch.setattr("ladle_rt.experiments.arm_scores.evaluate", refuse)
    again = runner.run_experiment(experiment, out, "test", silent)
    assert again.comparisons == result.comparisons
    runner.write_summary(out)
    assert "| tiny, small | both against L1 | SSIM |" in (out / "summary.md").read_text()

    values["schema"] = 99
    (out / "tiny/result.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="schema version 1, received 99; move it away"):
        runner.run_experiment(experiment, out, "test", silent)


def test_equal_arms_are_one_training_whatever_the_experiment(
    plan_file: Path, data_root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(plan_file.read_text().replace('name = "both"', 'name = "the same"'))
    keys = [
        [run.key for run in resolved(path, data_root).runs if run.arm.name != "L1"]
        for path in (plan_file, other)
    ]
    assert keys[0] == keys[1] and len(set(keys[0])) == 2


@pytest.mark.parametrize(("task", "on"), [("labels", "visible"), ("masked", "thermal")])
def test_a_handle_is_pretrained_and_a_stopped_one_comes_out_the_same(
    task: Any, on: Any, data_root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("segmentation_models_pytorch", reason="needs the train extra")
    data = (DataSpec(data_root / "pairs"),)
    run = PretrainingRun(
        Pretraining(task, on, batch=2), data, 2, "ladlenet-plus", "nano", 1, "handle"
    )
    never, now = threading.Event(), threading.Event()
    now.set()
    whole = pretrain_handle(run, tmp_path / "whole", never)
    with pytest.raises(TrainingStoppedError, match="stopped after step 1 of 2"):
        pretrain_handle(run, tmp_path / "part", now)
    part = pretrain_handle(run, tmp_path / "part", never)
    one, other = load_file(whole), load_file(part)
    assert all((one[name] == other[name]).all() for name in one)
    report = load_handle_weights(
        build("ladlenet-plus", preset_config("ladlenet-plus", "nano")), str(part)
    )
    assert report.missing == () and report.unexpected == ()
