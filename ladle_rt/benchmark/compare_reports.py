"""What moved between two reports of one machine, beyond noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ladle_rt.benchmark.benchmark_report import BenchmarkReport
from ladle_rt.benchmark.figure_specs import LEAST_CHANGE, figure_spec
from ladle_rt.benchmark.intervals import Figure
from ladle_rt.errors import ConfigError

NOISY = 0.25
"""An interval wider than this share of its value cannot show a change of `LEAST_CHANGE`."""
NOISY_SHARE = 0.5
"""With more noisy times and rates than this a machine is too noisy to judge."""
TIMED = ("idle_", "saturated_", "fps", "streams_")
"""How the names of such figures begin; memory and sizes vary on no machine."""


@dataclass(frozen=True, slots=True)
class FigureChange:
    """One figure of one case that moved."""

    case: str
    """See `CaseResult.key`."""
    figure: str
    """Its name."""
    before: Figure
    after: Figure
    kind: Literal["worse", "better", "changed"]


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """What a comparison found."""

    changes: tuple[FigureChange, ...]
    lost: tuple[str, ...]
    """Cases that were measured before and fail now, with the reason."""
    absent: tuple[str, ...]
    """Cases that are in one report only."""
    compared: int
    """Figures that are in both."""
    noisy: bool
    """Most figures vary too much within a report to show a change."""
    single_round: bool
    """Some cases were measured in one round, which says nothing about noise: of them the pictures
    alone were compared."""
    other_images: bool = False
    """The reports looked at other images: pictures were compared in part or not at all."""

    @property
    def regressed(self) -> bool:
        """Whether anything became worse."""
        return bool(self.lost) or any(change.kind == "worse" for change in self.changes)


def compare_reports(
    old: BenchmarkReport, new: BenchmarkReport, *, force: bool = False
) -> ReportComparison:
    """Compare two reports, case by case.

    A figure moved where the intervals have nothing in common and the values differ by more than
    its spec's least change. Figures of pictures are compared where both reports looked at the same
    images.

    Args:
        old: the earlier one.
        new: the later one.
        force: compare different machines, or frames of different size.

    Raises:
        ConfigError: different machines or frames, or no case in common.
    """
    if not force:
        check_comparable(old, new.provenance["machine"], new.settings["frame_size"])
    before = {case.key: case for case in old.cases if case.status == "measured"}
    after = {case.key: case for case in new.cases}
    changes, lost, absent = [], [], []
    absent += [key for key, now in after.items() if now.status == "measured" and key not in before]
    widths: list[float] = []
    compared, single, strangers = 0, False, False
    same_sample, same_truth = _same_images(old, new)
    for key, was in before.items():
        now = after.get(key)
        if now is None:
            absent.append(key)
            continue
        if now.status != "measured":
            lost.append(f"{key}: {now.reason}")
            continue
        for name in was.figures.keys() & now.figures.keys():
            pair = was.figures[name], now.figures[name]
            if figure_spec(name).paired:
                if not (same_truth if name.startswith("truth_") else same_sample):
                    strangers = True
                    continue
            else:
                if min(was.rounds, now.rounds) < 2:
                    single = True
                    continue
                if name.startswith(TIMED):
                    widths.append(max((one.high - one.low) / (abs(one.value) or 1) for one in pair))
            compared += 1
            kind = _moved(name, *pair)
            if kind is not None:
                changes.append(FigureChange(key, name, *pair, kind))
    if not compared and not lost:
        raise ConfigError("the reports have no measured case in common: nothing was compared")
    noisy = sum(width > NOISY for width in widths) > NOISY_SHARE * len(widths)
    changes.sort(key=lambda change: (change.kind, change.case, change.figure))
    return ReportComparison(
        tuple(changes), tuple(lost), tuple(absent), compared, noisy, single, strangers
    )


def check_comparable(
    old: BenchmarkReport, machine: Mapping[str, Any], frame_size: Sequence[int]
) -> None:
    """Refuse figures that say nothing about each other.

    Raises:
        ConfigError: another machine, or other frames.
    """
    for what, was, now in (
        ("machine", old.provenance["machine"], dict(machine)),
        ("frame size", old.settings["frame_size"], list(frame_size)),
    ):
        if was != now:
            raise ConfigError(
                f"expected an earlier report of the same {what}, {now}, received one of {was}; "
                "--force compares them all the same"
            )


def _same_images(old: BenchmarkReport, new: BenchmarkReport) -> tuple[bool, bool]:
    """Whether both looked at the same frames of the sample, and at the same pairs."""
    sample = old.settings.get("quality_frames") == new.settings.get("quality_frames")
    return sample, _truth_digest(old) == _truth_digest(new)


def _truth_digest(report: BenchmarkReport) -> object:
    truth = report.settings.get("truth")
    return truth.get("digest") if isinstance(truth, Mapping) else None


def _moved(
    name: str, before: Figure, after: Figure
) -> Literal["worse", "better", "changed"] | None:
    spec = figure_spec(name)
    least = spec.least_change
    if least is None:
        least = LEAST_CHANGE * abs(before.value)
    apart = spec.paired or after.low > before.high or after.high < before.low
    difference = after.value - before.value
    if not apart or abs(difference) <= least:
        return None
    if spec.better == "neither":
        return "changed"
    return "worse" if (difference > 0) == (spec.better == "lower") else "better"
