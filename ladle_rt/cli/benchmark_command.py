"""``ladle-rt benchmark``: how fast this machine is and how good its pictures, as a report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._data import show, typed_command, watch, write_json, write_text
from ladle_rt.cli._parameters import parse_sizes
from ladle_rt.errors import MissingDependencyError, OutputError

JSON, MARKDOWN, HTML = "report.json", "report.md", "report.html"


@click.command("benchmark")
@click.option("--quick", is_flag=True, help="The default model only, in under two minutes.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("ladle-rt-benchmark"),
    show_default=True,
    metavar="DIR",
    help="Folder for report.json, report.md and, with the extra report, report.html.",
)
@click.option("--model", "models", multiple=True, help="Shipped name or .onnx; repeatable.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(["onnxruntime", "openvino", "torch", "tensorrt", "torch-tensorrt"]),
    help="Engines to measure; by default all, with --quick all but torch, each skipped with the "
    "reason where it cannot run; repeatable.",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Precisions to measure; with --quick each engine's usual one, else all; repeatable.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Calibration set of `ladle-rt calibrate`; INT8 needs it.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Paired images: pictures are scored against truth as well (extra train).",
)
@click.option(
    "--pairs",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="At most so many pairs of --data, evenly spaced.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    callback=parse_sizes,
    metavar="WxH",
    help="Sizes that the network works in; by default what each --quality means; repeatable.",
)
@click.option("--rounds", type=click.IntRange(min=1), help="Turns of each case; 5, quick 3.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="At most so long for each measurement; 10, quick 0.6.",
)
@click.option(
    "--streams",
    type=click.IntRange(min=1),
    help="Most streams at once; one for each core, at most 4.",
)
@click.option(
    "--compare",
    "earlier",
    type=click.Path(path_type=Path),
    metavar="OLD.json",
    help="Say what moved beyond noise; exit code 1 where something became worse.",
)
@click.option("--force", is_flag=True, help="Compare with a report of another machine.")
@click.option("--overwrite", is_flag=True, help="Replace reports in DIR.")
@click.pass_context
def command(
    context: click.Context,
    /,
    quick: bool,
    output: Path,
    data: Path | None,
    pairs: int,
    earlier: Path | None,
    force: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Measure this machine's engines on a built-in synthetic sample.

    For each model, engine, precision and size: latency by stage, idle and saturated, throughput
    of one and several streams, time to the first frame, memory, power and temperature where the
    platform tells, and how far the pictures are from fp32's and, with --data, from truth. Every
    case runs in a process of its own; cases take turns. An interrupted run keeps what it has
    measured, marked as incomplete.
    """
    from rich.markup import escape
    from rich.table import Table

    from ladle_rt.benchmark.benchmark_report import BenchmarkReport, read_report
    from ladle_rt.benchmark.benchmark_settings import choose_settings, find_truth
    from ladle_rt.benchmark.compare_reports import check_comparable, compare_reports
    from ladle_rt.benchmark.provenance import machine
    from ladle_rt.benchmark.report_markdown import comparison_to_markdown, to_markdown, warnings
    from ladle_rt.benchmark.report_tables import reasons, summary_table
    from ladle_rt.benchmark.run_benchmark import run_benchmark

    truth = None if data is None else find_truth(data, pairs)
    settings = choose_settings(quick, truth=truth, **options)
    old = None if earlier is None else read_report(earlier)
    if old is not None and not force:
        check_comparable(old, machine(), settings.frame_size)
    found: BenchmarkReport | None = None

    def keep(report: BenchmarkReport) -> None:
        nonlocal found
        found = report
        write_json(output / JSON, report.to_dict())

    with _folder(output, overwrite):
        try:
            run_benchmark(
                settings, typed_command(), keep, watch, lambda line: click.echo(line, err=True)
            )
        finally:
            if found is not None:
                write_text(output / MARKDOWN, to_markdown(found))
                _write_html(output / HTML, found)
    assert found is not None
    summary = summary_table(found)
    shown = Table(*summary.headings)
    for row in summary.rows:
        shown.add_row(*map(escape, row))
    show(shown)
    for text in warnings(found):
        click.echo(f"ladle-rt: warning: {text}", err=True)
    for text in reasons(found):
        click.echo(text)
    measured = sum(case.status == "measured" for case in found.cases)
    click.echo(f"{output}: {measured} of {len(found.cases)} cases measured")
    if old is not None:
        comparison = compare_reports(old, found, force=force)
        text = comparison_to_markdown(comparison)
        write_text(output / MARKDOWN, f"{to_markdown(found)}\n{text}")
        click.echo(text)
        if comparison.regressed:
            click.echo("ladle-rt: error: worse than before, see above", err=True)
            context.exit(1)


@contextmanager
def _folder(path: Path, overwrite: bool) -> Iterator[None]:
    """Make the folder, and take it away again where nothing was written."""
    taken = [name for name in (JSON, MARKDOWN, HTML) if (path / name).exists()]
    if taken and not overwrite:
        raise OutputError(
            f"{path / taken[0]}: already exists; choose another --output or add --overwrite"
        )
    new = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: expected a folder to write to ({error.strerror})") from error
    try:
        yield
    finally:
        if new and not any(path.iterdir()):
            path.rmdir()


def _write_html(path: Path, report: Any) -> None:
    from ladle_rt.benchmark.report_html import to_html

    try:
        text = to_html(report)
    except MissingDependencyError as error:
        click.echo(f"ladle-rt: left out: {path.name}: {error}", err=True)
    else:
        write_text(path, text)
