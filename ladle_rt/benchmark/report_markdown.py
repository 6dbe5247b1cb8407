"""A report for people: the tables, and the same as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ladle_rt.benchmark.benchmark_report import BenchmarkReport, CaseResult
from ladle_rt.benchmark.compare_reports import ReportComparison
from ladle_rt.benchmark.figure_specs import figure_spec
from ladle_rt.benchmark.intervals import QUANTILES, Figure
from ladle_rt.benchmark.latency import LEAST_FRAMES

LATENCIES = tuple(
    f"{state}_{quantile}_ms" for state in ("idle", "saturated") for quantile in QUANTILES
)
RESOURCES = ("first_frame_s", "load_s", "rss_mb", "cpu_ms")
HEADINGS = ("model", "precision", "engine", "size")
DRIFT = ("drift_max_abs", "drift_mean_abs", "drift_ssim")


@dataclass(frozen=True, slots=True)
class ReportTable:
    """Cells as text, for Markdown, HTML and the terminal."""

    title: str
    note: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def report_tables(report: BenchmarkReport) -> Iterator[ReportTable]:
    """Every table that has rows."""
    measured = [case for case in report.cases if case.status == "measured"]
    streams = sorted(
        {name for case in measured for name in case.figures if name.startswith("streams_")},
        key=lambda name: int(name.split("_")[1]),
    )
    interval = "in brackets the 95 % interval over rounds and frames"
    if measured:
        yield _table(
            "Latency", f"milliseconds from a frame to its picture; {interval}", LATENCIES, measured
        )
        yield _table(
            "Throughput",
            "frames per second of one stream on all cores, and of several together; in brackets "
            "the 95 % interval over rounds",
            ("fps", *streams),
            measured,
        )
        yield _stages(measured)
        yield _table(
            "Start and memory",
            "process start to the first picture; resident memory after the run; CPU time of all "
            "threads for each frame",
            RESOURCES,
            measured,
        )
        yield _table(
            "Drift",
            "against the fp32 model in ONNX Runtime, RGB in [0,1], on frames of the sample",
            DRIFT,
            measured,
        )
    others = [case for case in report.cases if case.status != "measured"]
    if others:
        rows = tuple((*_head(case), case.status, case.reason) for case in others)
        yield ReportTable("Not measured", "", (*HEADINGS, "", "why"), rows)


def summary_table(report: BenchmarkReport) -> ReportTable:
    """One line for each case, without intervals: what a terminal holds."""
    names = (
        "idle_p50_ms",
        "idle_p95_ms",
        "saturated_p95_ms",
        "fps",
        "first_frame_s",
        "rss_mb",
        "drift_ssim",
    )
    rows = []
    for case in report.cases:
        figures = (case.figures.get(name) for name in names)
        cells = ["" if one is None else f"{one.value:.4g}" for one in figures]
        rows.append((*_head(case), *cells, case.reason))
    titles = (figure_spec(name).title for name in names)
    return ReportTable("ladle-rt benchmark", "", (*HEADINGS, *titles, ""), tuple(rows))


def warnings(report: BenchmarkReport) -> list[str]:
    """What a reader must know before the figures."""
    found = []
    if not report.complete:
        found.append("The benchmark was interrupted: cases or rounds are missing.")
    if not report.provenance["quiet"]:
        most = max(report.provenance["busy_percent"])
        found.append(
            f"The machine was not quiet: up to {most:.0f} % of it was busy before a measurement. "
            "Absolute figures are too slow, and changes may be noise."
        )
    if any(
        len(values) <= LEAST_FRAMES
        for case in report.cases
        for rounds in case.samples_ms.values()
        for values in rounds
    ):
        found.append(
            f"Some cases had time for {LEAST_FRAMES} frames only: their p95 and p99 are the "
            "slowest frame."
        )
    return found


def to_markdown(report: BenchmarkReport) -> str:
    """The whole report."""
    lines = ["# ladle-rt benchmark", ""]
    lines += [f"> **{text}**\n" for text in warnings(report)]
    lines += [f"- {name}: {value}" for name, value in facts(report)]
    for table in report_tables(report):
        lines += ["", f"## {table.title}", ""]
        lines += [table.note, ""] if table.note else []
        lines += _markdown_rows([table.headings, ("---",) * len(table.headings), *table.rows])
    return "\n".join(lines) + "\n"


def comparison_to_markdown(found: ReportComparison) -> str:
    """What moved, or that nothing did."""
    lines = ["## Compared with the earlier report", ""]
    if found.noisy:
        lines += ["> **The machine is too noisy to judge: most intervals are wide.**", ""]
    if found.single_round:
        lines += ["> **One round says nothing about noise: of such cases only drift counts.**", ""]
    rows = [("case", "figure", "before", "after", "")]
    rows += [
        (
            change.case,
            figure_spec(change.figure).title,
            _cell(change.before),
            _cell(change.after),
            change.kind,
        )
        for change in found.changes
    ]
    if found.changes:
        lines += _markdown_rows([rows[0], ("---",) * 5, *rows[1:]])
    else:
        lines.append(f"No figure of {found.compared} moved beyond noise.")
    lines += [f"- no longer runs: {text}" for text in found.lost]
    lines += [f"- in one report only: {key}" for key in found.absent]
    return "\n".join(lines) + "\n"


def facts(report: BenchmarkReport) -> list[tuple[str, str]]:
    """Provenance, one line each."""
    known, settings = report.provenance, report.settings
    machine = known["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    height, width = settings["frame_size"]
    return [
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"),
        ("memory", f"{known['memory_mb']} MB"),
        ("date", known["date"]),
        ("command", f"`{known['command']}`"),
        ("revision", known["git_revision"] or "installed package"),
        ("versions", versions),
        ("load average before", ", ".join(map(str, known["load_average"]))),
        (
            "measured",
            f"{settings['rounds']} rounds of up to {settings['frames']} frames or "
            f"{settings['seconds']:g} s, sample of {width}x{height}",
        ),
        *(
            (f"model {name}", f"SHA-256 `{digest}`")
            for name, digest in {case.model: case.model_sha256 for case in report.cases}.items()
        ),
    ]


def _table(title: str, note: str, names: Sequence[str], cases: Sequence[CaseResult]) -> ReportTable:
    rows = tuple(
        (*_head(case), *(_cell(case.figures.get(name)) for name in names)) for case in cases
    )
    headings = (*HEADINGS, *(figure_spec(name).title for name in names))
    return ReportTable(title, note, headings, rows)


def _stages(cases: Sequence[CaseResult]) -> ReportTable:
    rows = tuple(
        (*_head(case), stage, *(_cell(found[quantile]) for quantile in QUANTILES))
        for case in cases
        for stage, found in case.stages_ms.items()
    )
    return ReportTable(
        "Stages",
        "of one idle frame, ms; prepare: scaling and thermal levels; picture: normalising before "
        "and painting after the network",
        (*HEADINGS, "stage", *QUANTILES),
        rows,
    )


def _head(case: CaseResult) -> tuple[str, str, str, str]:
    return case.model, case.precision, case.backend, f"{case.size[1]}x{case.size[0]}"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    value, low, high = (f"{number:.4g}" for number in figure.to_list())
    return value if low == high else f"{value} [{low}, {high}]"


def _markdown_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
