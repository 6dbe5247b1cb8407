"""A result as Markdown: one page an experiment, one line an experiment in the summary."""

from __future__ import annotations

from collections.abc import Sequence

from ladle_rt.benchmark.report_tables import cell, markdown_table
from ladle_rt.experiments.experiment_plan import ALL
from ladle_rt.experiments.experiment_result import (
    NO_DIFFERENCE,
    ArmResult,
    ComparisonResult,
    ExperimentResult,
)

HEADINGS = {
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "psnr_db": "PSNR dB",
    "l1": "L1",
    "ciede2000": "CIEDE2000",
    "perceptual": "perceptual distance",
    "chroma_ratio": "chroma of the truth's",
    "contrast_ratio": "contrast of the truth's",
    "sharpness_ratio": "sharpness of the truth's",
    "displacement_px": "displacement px",
    "colour_at_edges": "colour kept at edges",
    "noise_change": "change by sensor noise, of 255",
    "flicker": "flicker of 255",
    "warping_ratio": "warping error of the truth's",
    "accuracy": "pixels right",
    "mean_recall": "mean recall",
    "mean_iou": "mean IoU",
    "black_point": "black L*",
    "kid": "KID",
}
"""What metrics are called; one that is not here goes by its name."""


def to_markdown(result: ExperimentResult) -> str:
    """The whole result."""
    lines = [f"# {result.title}", "", result.question, ""]
    if not result.complete:
        lines += ["**Incomplete:** some runs are not finished.", ""]
    lines += [scale_sentence(result), ""]
    groups = dict.fromkeys(group for arm in result.arms for group in arm.figures)
    for group in groups:
        lines += [f"## {'All frames' if group == ALL else group}", ""]
        lines += group_tables(result, group)
    left = [arm for arm in result.arms if arm.reason]
    if left:
        lines += ["## Not run, or not to the end", ""]
        lines += [*(f"- {arm.name}: {arm.reason}" for arm in left), ""]
    sizes = [arm for arm in result.arms if arm.parameters]
    if sizes:
        lines += ["## Networks", ""]
        rows = [
            [a.name, f"{(a.parameters or 0) / 1e6:.2f}", f"{(a.macs or 0) / 1e9:.2f}"]
            for a in sizes
        ]
        lines += [
            *markdown_table(["arm", "million parameters", "GMAC at 256x192"], rows),
            "",
        ]
    lines += [*(f"- {note}" for note in result.notes), ""] if result.notes else []
    return "\n".join(lines).rstrip() + "\n"


def group_tables(result: ExperimentResult, group: str = ALL, *, brief: bool = False) -> list[str]:
    """Lines of the figures of one group of frames, and of their differences.

    Args:
        result: of one experiment.
        group: of frames.
        brief: of metrics behind the first, and without a published figure, only what differs; how
            many do not.
    """
    metrics = [m for m in result.metrics if any(m in a.figures.get(group, {}) for a in result.arms)]
    shown = [arm for arm in result.arms if group in arm.figures]
    has_kid = any(group in arm.kid for arm in shown)
    heads = ["arm", *(HEADINGS.get(m, m) for m in metrics), *(["KID"] if has_kid else [])]
    rows = [
        [
            _name(arm),
            *(cell(arm.figures[group].get(m), ".3g") for m in metrics),
            *([f"{arm.kid[group]:.2f}" if group in arm.kid else ""] if has_kid else []),
        ]
        for arm in shown
    ]
    lines = [*markdown_table(heads, rows), ""]
    compared = [one for one in result.comparisons if one.group == group]
    if compared:
        over = dict.fromkeys(one.over for one in compared)
        lines += [f"Differences; 95 % intervals over {'; '.join(over)}.", ""]
        told = [
            one
            for one in compared
            if not brief or one.claims or one.metric == metrics[0] or one.verdict != NO_DIFFERENCE
        ]
        heads = ["", "metric", "difference", "%", "p (Holm)", "seeds", "verdict"]
        lines += [*markdown_table(heads, [_comparison(one) for one in told]), ""]
        if len(told) < len(compared):
            rest = len(compared) - len(told)
            lines += [f"{NO_DIFFERENCE.capitalize()} in {rest} more, of other metrics.", ""]
    return lines


def scale_sentence(result: ExperimentResult) -> str:
    """How much data, how many steps and seeds: what the figures can bear."""
    settings = result.settings
    machine = result.provenance.get("machine", {})
    date = str(result.provenance.get("date", "")).partition("T")[0]
    epochs = settings.get("epochs")
    length = f"{epochs} epochs" if epochs else f"{settings.get('steps')} steps"
    about = {
        "small": "Small: short runs of small networks on a few hundred pairs; says which way "
        "something pulls, and nothing about KAIST.",
        "kaist": "Full: the published networks and schedule on KAIST.",
    }
    return " ".join(
        [
            about[result.scale],
            f"{length} of batch {settings.get('batch')}, {settings.get('seeds')} seed(s) an arm,",
            f"{settings.get('pairs')} training pairs; judged on {settings.get('validation')}.",
            f"{machine.get('cores')} cores of {machine.get('cpu')}, {date}.",
        ]
    )


def to_summary(results: Sequence[ExperimentResult]) -> str:
    """One table of the first metric's comparisons over all frames, experiment by experiment."""
    lines = ["# Experiments", "", "Each against its reference, all frames, first metric.", ""]
    rows = []
    for result in results:
        found = [
            one
            for one in result.comparisons
            if one.group == ALL and one.metric == result.metrics[0]
        ]
        state = "" if result.complete else " (incomplete)"
        rows += [
            [f"{result.experiment}, {result.scale}{state}", *_comparison(one)] for one in found
        ]
        if not found:
            rows.append([f"{result.experiment}, {result.scale}{state}", "", "", "", "", "", "", ""])
    heads = ["experiment", "", "metric", "difference", "%", "p (Holm)", "seeds", "verdict"]
    return "\n".join([*lines, *markdown_table(heads, rows)]) + "\n"


def _comparison(one: ComparisonResult) -> list[str]:
    claims = "".join(f"; published +{claim} %: {word}" for claim, word in one.claims.items())
    return [
        f"{one.arm} against {one.against}",
        HEADINGS.get(one.metric, one.metric),
        cell(one.difference, "+.3g"),
        "" if one.percent is None else cell(one.percent, "+.1f"),
        f"{one.p_holm:.3f}" if one.p_holm >= 0.001 else "< 0.001",
        f"{one.agree}/{one.seeds}",
        one.verdict + claims,
    ]


def _name(arm: ArmResult) -> str:
    return f"*{arm.name}*" if arm.status == "baseline" else arm.name
