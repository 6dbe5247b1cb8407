"""Reports as JSON, Markdown and HTML."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from ladle_rt.benchmark.benchmark_report import BenchmarkReport, CaseResult, read_report
from ladle_rt.benchmark.intervals import Figure
from ladle_rt.benchmark.report_html import to_html
from ladle_rt.benchmark.report_markdown import to_markdown
from ladle_rt.benchmark.report_tables import reasons
from ladle_rt.errors import InputError, InputNotFoundError, MissingDependencyError

MakeReport = Callable[..., BenchmarkReport]
SCHEMA = json.loads(
    (resources.files("ladle_rt.benchmark") / "report_schema.json").read_text(encoding="utf-8")
)
FAILED = CaseResult("b<b>", "1" * 64, "int8", "torch", "cpu", (64, 96), "failed", "out of | memory")


def test_a_report_fits_its_schema_and_comes_back(make_report: MakeReport, tmp_path: Path) -> None:
    report = make_report()
    report = replace(report, cases=(*report.cases, FAILED))
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report.to_dict()))
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)
    again = read_report(path)
    assert again.to_dict() == report.to_dict()
    assert again.cases[0].figures["fps"].value == pytest.approx(
        report.cases[0].figures["fps"].value, rel=1e-3
    )
    assert again.cases[1] == FAILED


def test_what_is_no_report_is_refused_in_one_line(make_report: MakeReport, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(InputNotFoundError, match="no such file"):
        read_report(path)
    values = make_report().to_dict()
    for text, message in (
        ("{", "expected a JSON report"),
        ("[]", "expected a JSON report"),
        (json.dumps({"benchmark": "soak"}), "expected a JSON report.*schema"),
        (json.dumps({**values, "schema": 1}), "expected .* schema version 2, received 1"),
        (json.dumps({**values, "cases": [{}]}), "damaged report"),
        (json.dumps({**values, "cases": {"a": []}}), "damaged report"),
        (json.dumps({**values, "provenance": {}}), "damaged report .*'machine'"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            read_report(path)
        assert "\n" not in str(caught.value)


def test_markdown_has_every_figure_and_every_warning(make_report: MakeReport) -> None:
    report = make_report()
    hot = {"throttled": True, "reasons": ["CPU thermal"], "sources": ["sysfs"]}
    report = replace(report, cases=(replace(report.cases[0], telemetry=hot),))
    noisy = {**report.provenance, "quiet": False, "busy_percent": [3.0, 87.0]}
    report = replace(report, complete=False, provenance=noisy, cases=(*report.cases, FAILED))
    text = to_markdown(report)
    assert "Throttled while tiny fp32 onnxruntime 96x64 was measured: CPU thermal" in text
    assert "interrupted" in text and "up to 87 % of it was busy" in text
    for case in report.cases:
        for figure in case.figures.values():
            assert f"{figure.to_list()[0]:.4g}" in text
    assert "| failed | out of \\| memory |" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1, table
    quiet = to_markdown(make_report())
    assert "> **" not in quiet


def test_a_page_needs_no_network_and_escapes(make_report: MakeReport) -> None:
    report = make_report()
    report = replace(report, cases=(*report.cases, FAILED))
    page = to_html(report)
    assert "b&lt;b&gt;" in page and "b<b>" not in page
    assert page.count("Plotly.newPlot(") == 6
    for title in ("Latency against quality", "Stage timeline", "Drift over the sample"):
        assert title in page
    body = page[page.index("</head>") :]
    assert body.count('src="data:image/jpeg;base64,/9j/"') == 2
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:image/jpeg;base64,)""", body)
    assert not re.search(r"<script[^>]+src=|<link", page[: page.index("<body>")][:5000])


def test_without_plotly_the_extra_is_named(
    make_report: MakeReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingDependencyError, match=r"ladle-rt\[report\]"):
        to_html(make_report())


def test_cases_that_cannot_run_share_a_row(make_report: MakeReport) -> None:
    report = make_report()
    why = "no NVIDIA GPU to use: no CUDA driver"
    missing = tuple(
        CaseResult("tiny", "1" * 64, precision, "tensorrt", "cuda", size, "skipped", why)
        for precision in ("fp16", "int8")
        for size in ((64, 96), (128, 192))
    )
    report = replace(report, cases=(*report.cases, *missing))
    (line,) = reasons(report)
    assert line == f"skipped: tiny, fp16, int8, tensorrt (cuda), 96x64, 192x128: {why}"
    assert to_markdown(report).count("tensorrt (cuda)") == 1


def test_truth_has_a_table_of_its_own(make_report: MakeReport) -> None:
    report = make_report()
    assert "## Against truth" not in to_markdown(report)
    (case,) = report.cases
    scored = replace(case, figures={**case.figures, "truth_ms_ssim": Figure(0.5, 0.4, 0.6)})
    truth = {"name": "pairs", "pairs": 4, "digest": "0" * 64}
    report = replace(report, cases=(scored,), settings={**report.settings, "truth": truth})
    text = to_markdown(report)
    assert "## Against truth" in text and "0.5 [0.4, 0.6]" in text
    assert "MS-SSIM to truth" in to_html(report)
