"""A report as Markdown: facts, warnings, tables, and what moved since another."""

from __future__ import annotations

from ladle_rt.benchmark.benchmark_report import BenchmarkReport
from ladle_rt.benchmark.compare_reports import ReportComparison
from ladle_rt.benchmark.figure_specs import figure_spec
from ladle_rt.benchmark.latency import LEAST_FRAMES
from ladle_rt.benchmark.report_tables import cell, markdown_table, report_tables


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
    for case in report.cases:
        if case.telemetry.get("throttled"):
            found.append(
                f"Throttled while {case.key} was measured: {', '.join(case.telemetry['reasons'])}. "
                "It is faster on a cool machine."
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
        lines += markdown_table(table.headings, table.rows)
    return "\n".join(lines) + "\n"


def comparison_to_markdown(found: ReportComparison) -> str:
    """What moved, or that nothing did."""
    lines = ["## Compared with the earlier report", ""]
    if found.noisy:
        lines += ["> **The machine is too noisy to judge: most intervals are wide.**", ""]
    if found.single_round:
        lines += [
            "> **One round says nothing about noise: of such cases only pictures count.**",
            "",
        ]
    if found.other_images:
        lines += ["> **The reports looked at other images: pictures were not compared.**", ""]
    rows = [
        (
            change.case,
            figure_spec(change.figure).title,
            cell(change.before),
            cell(change.after),
            change.kind,
        )
        for change in found.changes
    ]
    if found.changes:
        lines += markdown_table(("case", "figure", "before", "after", ""), rows)
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
        *((name.replace("_", " "), _words(value)) for name, value in known["platform"].items()),
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


def _words(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(" ".join(map(str, one.values())) for one in value)
    return str(value)
