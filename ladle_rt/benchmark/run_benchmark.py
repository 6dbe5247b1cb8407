"""Every model in every CPU engine at every size, round by round."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ladle_rt.benchmark.benchmark_report import BenchmarkReport, CaseResult
from ladle_rt.benchmark.case_worker import CaseRequest
from ladle_rt.benchmark.intervals import over_rounds, percentile_figures
from ladle_rt.benchmark.latency import Limits
from ladle_rt.benchmark.provenance import BUSY_PERCENT, busy_percent, provenance
from ladle_rt.config import MIN_SIZE
from ladle_rt.device import usable_cores
from ladle_rt.errors import ConfigError
from ladle_rt.geometry import network_box
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelArtifact, load_artifact, shipped_models

BACKENDS = ("onnxruntime", "openvino", "torch")
"""Engines with a CPU form."""
FRAME_SIZE = (512, 640)
"""Height and width of the sample's frames."""
MOST_STREAMS = 4
FULL_LIMITS, QUICK_LIMITS = Limits(10.0, 300), Limits(1.0, 60)
START_TIMEOUT_S = 120.0
"""For loading an engine, on top of what is measured."""


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """What to measure, and for how long."""

    models: tuple[str, ...]
    """Shipped names or paths of ``.onnx`` files."""
    backends: tuple[str, ...] = BACKENDS
    sizes: tuple[tuple[int, int], ...] = ()
    """Height and width of the network's box; none: what the qualities of each model mean."""
    quick: bool = False
    """Leaves out the quality ``best``."""
    rounds: int = 5
    """Cases take turns, so that a drifting machine slows all alike."""
    limits: Limits = FULL_LIMITS
    """Of each measurement in a round."""
    streams: tuple[int, ...] = tuple(range(2, min(usable_cores(), MOST_STREAMS) + 1))

    def __post_init__(self) -> None:
        unknown = [name for name in self.backends if name not in BACKENDS]
        if unknown:
            raise ConfigError(
                f"backend must be one of {', '.join(BACKENDS)}, which run on the CPU, "
                f"received {unknown[0]!r}"
            )
        if self.rounds < 1:
            raise ConfigError(f"rounds must be at least 1, received {self.rounds}")
        for size in self.sizes:
            if min(size) < MIN_SIZE:
                raise ConfigError(
                    f"size must be at least {MIN_SIZE}x{MIN_SIZE}, received {size[1]}x{size[0]}"
                )


def choose_settings(
    quick: bool,
    models: tuple[str, ...] = (),
    backends: tuple[str, ...] = (),
    sizes: tuple[tuple[int, int], ...] = (),
    rounds: int | None = None,
    seconds: float | None = None,
) -> BenchmarkSettings:
    """Settings of a quick benchmark, in under two minutes on two cores, or of a full one.

    Args:
        quick: the default model alone, few rounds, short.
        models: instead of the default model or of all shipped ones.
        backends: instead of all.
        sizes: instead of what the qualities of each model mean.
        rounds: instead of 3 or 5.
        seconds: of each measurement, instead of 1 or 10.
    """
    limits = QUICK_LIMITS if quick else FULL_LIMITS
    return BenchmarkSettings(
        models or ((DEFAULT_MODEL,) if quick else tuple(shipped_models())),
        backends or BACKENDS,
        sizes,
        quick,
        rounds or (3 if quick else 5),
        limits if seconds is None else replace(limits, seconds=seconds),
    )


@dataclass(slots=True)
class _Case:
    artifact: ModelArtifact
    model: str
    backend: str
    size: tuple[int, int]
    reference: str | None
    answers: list[dict[str, Any]]
    refusal: tuple[str, str] | None = None

    def result(self) -> CaseResult:
        info = self.artifact.info
        same = (info.name, info.onnx_sha256, info.precision, self.backend, self.size)
        if self.refusal is not None:
            status, reason = self.refusal
            return CaseResult(*same, "skipped" if status == "skipped" else "failed", reason)
        samples = {
            name: [answer["samples_ms"][name] for answer in self.answers]
            for name in ("idle", "saturated")
        }
        figures = {
            f"{name}_{quantile}_ms": figure
            for name, rounds in samples.items()
            for quantile, figure in percentile_figures(rounds).items()
        }
        figures |= {
            name: over_rounds([answer["figures"][name] for answer in self.answers])
            for name in self.answers[0]["figures"]
        }
        stages = {
            stage: percentile_figures([answer["stages_ms"][stage] for answer in self.answers])
            for stage in self.answers[0]["stages_ms"]
        }
        return CaseResult(*same, "measured", "", len(self.answers), figures, stages, samples)


def run_benchmark(
    settings: BenchmarkSettings,
    command: str,
    on_update: Callable[[BenchmarkReport], None] = lambda report: None,
    watch: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> BenchmarkReport:
    """Measure everything; a case that cannot run is in the report with the reason.

    Args:
        settings: what to measure.
        command: as typed, for the report.
        on_update: is given the report so far after each round of each case.
        watch: hands the steps on one by one, to show how far the benchmark is.

    Raises:
        ModelError: a model that cannot be used.
        ConfigError: two models of one name and precision.
    """
    cases = _cases(settings)
    facts = provenance(command)
    busy: list[float] = []

    def report(complete: bool) -> BenchmarkReport:
        load = {
            "busy_percent": busy,
            "quiet": max(busy, default=0.0) <= BUSY_PERCENT,
        }
        done = tuple(case.result() for case in cases if case.answers or case.refusal)
        return BenchmarkReport(complete, {**facts, **load}, _settings_to_dict(settings), done)

    steps = [case for _ in range(settings.rounds) for case in cases]
    for case in watch(steps):
        if case.refusal is not None:
            continue
        busy.append(busy_percent())
        answer = _ask(case, settings)
        if "status" in answer:
            case.refusal = answer["status"], answer["reason"]
        else:
            case.answers.append(answer)
        on_update(report(complete=False))
    found = report(complete=True)
    on_update(found)
    return found


def _cases(settings: BenchmarkSettings) -> list[_Case]:
    opened = {model: load_artifact(model) for model in settings.models}
    names = Counter((one.info.name, one.info.precision) for one in opened.values())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ConfigError(
            f"expected models that differ in name or precision, received {twice[0][0]!r} "
            f"({twice[0][1]}) twice"
        )
    fp32 = {
        artifact.info.onnx_sha256: str(artifact.onnx_path)
        for artifact in opened.values()
        if artifact.info.precision == "fp32"
    }
    cases = []
    for artifact in opened.values():
        info = artifact.info
        # A derived graph is measured against the one it was made from, where that was given too.
        source = info.onnx_sha256 if info.precision == "fp32" else info.derivation["from_sha256"]
        qualities: tuple[Any, ...] = ("fast",)
        if info.look != "none":
            qualities = ("fast", "balanced") if settings.quick else ("fast", "balanced", "best")
        named = (
            network_box(FRAME_SIZE, info.train_size, info.size_multiple, quality)
            for quality in qualities
        )
        for size in settings.sizes or dict.fromkeys(named):
            cases += [
                _Case(artifact, str(artifact.onnx_path), backend, size, fp32.get(source), [])
                for backend in settings.backends
            ]
    return cases


def _ask(case: _Case, settings: BenchmarkSettings) -> dict[str, Any]:
    """One round in a process of its own: the worker's answer, or a status and a reason."""
    measurements = 2 + len(settings.streams)
    # Ten frames are always measured, on the slowest machine a few seconds each.
    timeout_s = START_TIMEOUT_S + measurements * (settings.limits.seconds + 60)
    request = CaseRequest(
        model=case.model,
        backend=case.backend,
        size=case.size,
        frame_size=FRAME_SIZE,
        limits=settings.limits,
        streams=settings.streams,
        reference=case.reference,
        started_s=time.time(),
    )
    command = [sys.executable, "-m", "ladle_rt.benchmark.case_worker"]
    try:
        done = subprocess.run(
            command,
            input=request.to_json(),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return {"status": "failed", "reason": f"no answer within {timeout_s:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return {"status": "failed", "reason": f"the process ended with {done.returncode}: {last}"}


def _settings_to_dict(settings: BenchmarkSettings) -> dict[str, Any]:
    return {
        "models": list(settings.models),
        "backends": list(settings.backends),
        "quick": settings.quick,
        "rounds": settings.rounds,
        "seconds": settings.limits.seconds,
        "frames": settings.limits.frames,
        "streams": list(settings.streams),
        "frame_size": list(FRAME_SIZE),
    }
