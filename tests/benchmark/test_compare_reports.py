"""A slowdown is found, noise is not called one, and strangers are not compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ladle_rt.benchmark.benchmark_report import BenchmarkReport
from ladle_rt.benchmark.compare_reports import compare_reports
from ladle_rt.benchmark.intervals import Figure
from ladle_rt.benchmark.report_markdown import comparison_to_markdown
from ladle_rt.errors import ConfigError

MakeReport = Callable[..., BenchmarkReport]


def with_figure(report: BenchmarkReport, name: str, value: float) -> BenchmarkReport:
    (case,) = report.cases
    figures = {**case.figures, name: Figure(value, value, value)}
    return replace(report, cases=(replace(case, figures=figures),))


@pytest.mark.parametrize("seed", range(3))
def test_a_fifth_slower_is_worse_and_noise_is_silent(make_report: MakeReport, seed: int) -> None:
    old = make_report(seed)
    same = compare_reports(old, make_report(seed + 100))
    assert not same.changes and not same.regressed and not same.noisy
    assert "No figure of" in comparison_to_markdown(same)
    slower = compare_reports(old, make_report(seed + 100, slower=1.2))
    assert slower.regressed
    worse = {change.figure for change in slower.changes if change.kind == "worse"}
    assert {"idle_p50_ms", "saturated_p50_ms", "fps", "first_frame_s"} <= worse
    assert "| worse |" in comparison_to_markdown(slower)
    faster = compare_reports(make_report(seed, slower=1.2), make_report(seed + 100))
    assert not faster.regressed and {change.kind for change in faster.changes} == {"better"}


def test_one_round_says_nothing_about_noise(make_report: MakeReport) -> None:
    old, slower = make_report(), make_report(1, slower=2)
    once = replace(slower, cases=(replace(slower.cases[0], rounds=1),))
    found = compare_reports(old, once)
    assert not found.changes and found.single_round and found.compared == 5
    assert "only pictures count" in comparison_to_markdown(found)
    assert compare_reports(old, with_figure(once, "drift_ssim", 0.9)).regressed


def test_more_drift_is_worse(make_report: MakeReport) -> None:
    old = make_report()
    assert compare_reports(old, with_figure(old, "drift_ssim", 0.99)).regressed
    assert compare_reports(old, with_figure(old, "drift_max_abs", 0.02)).regressed
    assert not compare_reports(old, with_figure(old, "drift_ssim", 0.9989)).regressed
    assert not compare_reports(old, with_figure(old, "drift_max_abs", 0.01)).regressed


def test_a_case_that_no_longer_runs_is_worse_and_an_absent_one_is_told(
    make_report: MakeReport,
) -> None:
    old = make_report()
    (case,) = old.cases
    failed = replace(old, cases=(replace(case, status="failed", reason="no memory"),))
    found = compare_reports(old, failed)
    assert found.regressed and found.lost == ("tiny fp32 onnxruntime 96x64: no memory",)
    more = replace(old, cases=(case, replace(case, backend="openvino")))
    for one, other in ((old, more), (more, old)):
        found = compare_reports(one, other)
        assert not found.regressed and found.absent == ("tiny fp32 openvino 96x64",)
    strangers = replace(old, cases=(replace(case, model="another"),))
    with pytest.raises(ConfigError, match="no measured case in common"):
        compare_reports(old, strangers)


def test_other_machines_are_compared_only_by_force(make_report: MakeReport) -> None:
    old, new = make_report(cpu="a slow one"), make_report()
    with pytest.raises(ConfigError, match=r"same machine, .*a processor.*a slow one.*--force"):
        compare_reports(old, new)
    assert not compare_reports(old, new, force=True).regressed


def test_a_machine_too_noisy_to_judge_is_said(make_report: MakeReport) -> None:
    found = compare_reports(make_report(noise=1.5), make_report(1, noise=1.5))
    quiet = compare_reports(make_report(), make_report(1))
    assert not quiet.noisy
    assert found.noisy and "too noisy to judge" in comparison_to_markdown(found)


def test_a_picture_that_only_looks_different_is_told_and_no_regression(
    make_report: MakeReport,
) -> None:
    old = make_report()
    found = compare_reports(old, with_figure(old, "picture_contrast", 30.0))
    assert [change.kind for change in found.changes] == ["changed"] and not found.regressed


def test_pictures_of_other_images_are_not_compared(make_report: MakeReport) -> None:
    old = make_report()
    worse = with_figure(make_report(1), "best_ms_ssim", 0.5)
    assert compare_reports(old, worse).regressed
    other = replace(worse, settings={**worse.settings, "quality_frames": 24})
    found = compare_reports(old, other)
    assert not found.regressed and found.other_images
    assert "looked at other images" in comparison_to_markdown(found)
    truths = [
        replace(
            with_figure(make_report(seed), "truth_ms_ssim", value),
            settings={**old.settings, "truth": {"name": "a", "pairs": 2, "digest": digest}},
        )
        for seed, (value, digest) in enumerate(((0.6, "a"), (0.5, "a"), (0.5, "b")))
    ]
    assert compare_reports(truths[0], truths[1]).regressed
    assert not compare_reports(truths[0], truths[2]).regressed
