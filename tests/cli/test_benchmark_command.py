"""``ladle-rt benchmark`` as users run it: the report, the comparison, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ladle_rt.benchmark import benchmark_cases, run_benchmark
from ladle_rt.benchmark.benchmark_cases import Case
from ladle_rt.benchmark.benchmark_settings import BenchmarkSettings
from ladle_rt.benchmark.case_worker import measure_case
from ladle_rt.cli.benchmark_command import command
from ladle_rt.errors import ConfigError, DatasetError, InputError, OutputError


def ask(case: Case, settings: BenchmarkSettings, folder: Path) -> object:
    """A case for real, but here: starting processes is `test_run_benchmark`'s."""
    request = run_benchmark.case_request(case, settings, folder)
    return measure_case(replace(request, frame_size=(96, 128), streams=()))


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_benchmark, "_ask", ask)


def run(model: Path, output: Path, *words: object) -> Result:
    arguments = ["--quick", "--model", model, "--backend", "onnxruntime", "--size", "96x64"]
    arguments += ["--seconds", 0.01, "--rounds", 1, "-o", output, *words]
    return CliRunner().invoke(command, [str(word) for word in arguments])


@pytest.fixture(scope="module")
def measured(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """What a run said and the folder of its report."""
    output = tmp_path_factory.mktemp("benchmark") / "new" / "report"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_benchmark, "_ask", ask)
        return run(tiny_model, output, "--rounds", 2), output


@pytest.fixture
def earlier(measured: tuple[Result, Path], tmp_path: Path) -> Path:
    """A copy of its report, to be changed."""
    return Path(shutil.copy(measured[1] / "report.json", tmp_path / "earlier.json"))


def test_three_files_and_a_summary(measured: tuple[Result, Path], tiny_model: Path) -> None:
    result, output = measured
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in output.iterdir()) == [
        *("report.html", "report.json", "report.md"),
    ]
    report = json.loads((output / "report.json").read_text())
    assert report["complete"] and report["provenance"]["command"].startswith("ladle-rt")
    assert "tiny" in result.stdout and "96x64" in result.stdout
    before = (output / "report.json").read_bytes()
    refused = run(tiny_model, output)
    assert isinstance(refused.exception, OutputError) and "--overwrite" in str(refused.exception)
    assert (output / "report.json").read_bytes() == before


def test_compare_fails_on_a_slowdown_only(earlier: Path, tiny_model: Path, tmp_path: Path) -> None:
    report = json.loads(earlier.read_text())
    figures = report["cases"][0]["figures"]
    for factor, code in ((1e-3, 1), (1e3, 0)):
        scaled = {
            name: [value * (1 / factor if "fps" in name else factor) for value in one]
            for name, one in figures.items()
            if name.endswith(("ms", "fps"))
        }
        # Without the others, which may really be worse the second time on a busy machine.
        report["cases"][0]["figures"] = scaled
        earlier.write_text(json.dumps(report))
        # Into one folder: the second report replaces the first.
        words = ["--rounds", 2, "--compare", earlier, "--overwrite"]
        result = run(tiny_model, tmp_path / "b", *words)
        assert result.exit_code == code, result.output
        assert ("| worse |" in result.stdout) == (code == 1)
        assert "Compared with the earlier" in (tmp_path / "b" / "report.md").read_text()


def test_what_cannot_be_compared_is_refused_before_the_work(
    earlier: Path, tiny_model: Path, tmp_path: Path
) -> None:
    report = json.loads(earlier.read_text())
    for change, error, message in (
        ({"schema": 99}, InputError, "schema version"),
        (
            {"provenance": {**report["provenance"], "machine": {"cpu": "another"}}},
            ConfigError,
            "--force",
        ),
    ):
        earlier.write_text(json.dumps({**report, **change}))
        result = run(tiny_model, tmp_path / "b", "--compare", earlier)
        assert isinstance(result.exception, error) and message in str(result.exception)
        assert not (tmp_path / "b").exists()
    assert "no such file" in str(run(tiny_model, tmp_path / "b", "--compare", "x").exception)


def test_an_interrupted_run_keeps_what_it_has(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, calls = run_benchmark._ask, []

    def once(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return ask(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run_benchmark, "_ask", once)
    output = tmp_path / "cut"
    result = run(tiny_model, output, "--rounds", 3)
    assert result.exit_code != 0
    report = json.loads((output / "report.json").read_text())
    assert not report["complete"] and report["cases"][0]["rounds"] == 1
    assert "was interrupted" in (output / "report.md").read_text()


def test_nothing_is_left_where_nothing_was_measured(tmp_path: Path) -> None:
    result = run(tmp_path / "none.onnx", tmp_path / "out")
    assert result.exit_code != 0 and not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "none.onnx", tmp_path / "file")
    assert isinstance(result.exception, OutputError) and "a folder" in str(result.exception)
    for words in (["--backend", "tpu"], ["--precision", "fp8"]):
        assert CliRunner().invoke(command, words).exit_code == 2


def test_data_without_pairs_is_refused_before_the_work(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    result = run(tiny_model, tmp_path / "out", "--data", tmp_path / "data")
    assert isinstance(result.exception, DatasetError), result.exception
    assert not (tmp_path / "out").exists()


def test_an_engine_without_a_gpu_is_named_with_the_reason(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_cases, "why_no_gpu", lambda: "no NVIDIA GPU to use: none")
    result = run(tiny_model, tmp_path / "out", "--backend", "tensorrt")
    assert result.exit_code == 0, result.output
    assert (
        "skipped: tiny, fp16, tensorrt (cuda), 96x64: no NVIDIA GPU to use: none" in result.stdout
    )
    assert "1 of 2 cases measured" in result.stdout
