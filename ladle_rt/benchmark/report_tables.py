"""The tables of a report, for Markdown, HTML and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ladle_rt.benchmark.benchmark_report import BenchmarkReport, CaseResult
from ladle_rt.benchmark.figure_specs import figure_spec
from ladle_rt.benchmark.intervals import QUANTILES, Figure

LATENCIES = tuple(
    f"{state}_{quantile}_ms" for state in ("idle", "saturated") for quantile in QUANTILES
)
START = ("first_frame_s", "load_s", "build_s", "engine_mb")
RESOURCES = ("cpu_ms", "rss_mb", "peak_rss_mb", "device_mb")
POWER = ("power_w", "mj_per_frame", "temperature_c", "cpu_mhz", "gpu_mhz")
HEADINGS = ("model", "precision", "engine", "size")
SAMPLE_QUALITY = ("drift_max_abs", "drift_mean_abs", "drift_ssim", "drift_ms_ssim", "drift_psnr_db")
PICTURES = (
    *("best_ms_ssim", "picture_contrast", "picture_chroma", "picture_colourfulness"),
    *("picture_sharpness", "picture_black_point"),
)
TRUTH = (
    *("truth_ssim", "truth_ms_ssim", "truth_psnr_db", "truth_ciede2000", "truth_contrast_ratio"),
    *("truth_chroma_ratio", "truth_sharpness_ratio"),
)


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
            "Start",
            "process start to the first picture; loading alone; building a TensorRT plan; size of "
            "what is loaded",
            START,
            measured,
        )
        yield _table(
            "Processor and memory",
            "CPU time of all threads for each frame; resident memory after the run and at its "
            "peak; memory of this process on the GPU",
            RESOURCES,
            measured,
        )
        yield from _power(measured)
        yield _table(
            "Drift",
            "of the pictures as painted, in 8 bits, against those of the fp32 model in ONNX "
            "Runtime at the same size, RGB in [0,1], on frames of the sample; a PSNR of 100 dB "
            "means equal",
            SAMPLE_QUALITY,
            measured,
        )
        yield _table(
            "Pictures of the sample",
            "similarity to what fp32 paints at the model's largest size; CIELAB contrast, chroma "
            "and black point, colourfulness, gradient energy. Colours are synthesised",
            PICTURES,
            measured,
        )
        truth = report.settings["truth"]
        if truth:
            yield _table(
                "Against truth",
                f"{truth['pairs']} pairs of {truth['name']}, graded to the model's look; contrast, "
                "chroma and sharpness over the truth's; in brackets the 95 % interval over pairs",
                TRUTH,
                measured,
            )
    others = [case for case in report.cases if case.status != "measured"]
    if others:
        yield _not_measured(others)


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
        "best_ms_ssim",
    )
    rows = []
    for case in report.cases:
        figures = (case.figures.get(name) for name in names)
        cells = ["" if one is None else f"{one.value:.4g}" for one in figures]
        if case.status == "measured":
            rows.append((*_head(case), *cells))
    titles = (figure_spec(name).title for name in names)
    return ReportTable("ladle-rt benchmark", "", (*HEADINGS, *titles), tuple(rows))


def reasons(report: BenchmarkReport) -> list[str]:
    """Why cases were not measured, a line for each engine and reason."""
    rows = _not_measured([case for case in report.cases if case.status != "measured"]).rows
    return [f"{status}: {', '.join(what)}: {reason}" for *what, status, reason in rows]


def _table(title: str, note: str, names: Sequence[str], cases: Sequence[CaseResult]) -> ReportTable:
    # What no engine here has, such as memory of a GPU, is no column.
    names = [name for name in names if any(name in case.figures for case in cases)]
    rows = tuple(
        (*_head(case), *(cell(case.figures.get(name)) for name in names)) for case in cases
    )
    headings = (*HEADINGS, *(figure_spec(name).title for name in names))
    return ReportTable(title, note, headings, rows)


def _stages(cases: Sequence[CaseResult]) -> ReportTable:
    rows = tuple(
        (*_head(case), stage, *(cell(found[quantile]) for quantile in QUANTILES))
        for case in cases
        for stage, found in case.stages_ms.items()
    )
    return ReportTable(
        "Stages",
        "of one idle frame, ms; prepare: scaling and thermal levels; picture: normalising before "
        "and painting after the network; device: everything on a GPU",
        (*HEADINGS, "stage", *QUANTILES),
        rows,
    )


def _power(cases: Sequence[CaseResult]) -> Iterator[ReportTable]:
    """Nothing where the platform tells nothing."""
    if not any(case.telemetry.get("sources") for case in cases):
        return
    names = [name for name in POWER if any(name in case.figures for case in cases)]
    words = {True: "yes", False: "no", None: "not told"}
    rows = tuple(
        (
            *_head(case),
            *(cell(case.figures.get(name)) for name in names),
            words[case.telemetry.get("throttled")],
            ", ".join(case.telemetry.get("sources", ())),
        )
        for case in cases
    )
    yield ReportTable(
        "Power, temperature, clocks",
        "while saturated: means, of temperatures the largest",
        (*HEADINGS, *(figure_spec(name).title for name in names), "throttled", "told by"),
        rows,
    )


def _not_measured(cases: Sequence[CaseResult]) -> ReportTable:
    """A row for each engine and reason, with the models, precisions and sizes it is true of."""
    groups: dict[tuple[str, str, str], list[CaseResult]] = {}
    for case in cases:
        groups.setdefault((case.engine_name, case.status, case.reason), []).append(case)
    rows = []
    for (engine, status, reason), found in groups.items():
        heads = [_head(case) for case in found]
        models, precisions, _, sizes = (
            ", ".join(dict.fromkeys(column)) for column in zip(*heads, strict=True)
        )
        rows.append((models, precisions, engine, sizes, status, reason))
    return ReportTable("Not measured", "", (*HEADINGS, "", "why"), tuple(rows))


def _head(case: CaseResult) -> tuple[str, str, str, str]:
    return case.model, case.precision, case.engine_name, f"{case.size[1]}x{case.size[0]}"


def cell(figure: Figure | None, style: str = ".4g") -> str:
    """A figure with its interval; nothing where there is none."""
    if figure is None:
        return ""
    value, low, high = (format(one, style) for one in (figure.value, figure.low, figure.high))
    return value if low == high else f"{value} [{low}, {high}]"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
