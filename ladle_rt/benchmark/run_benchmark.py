"""Every model in every engine, precision and size, round by round."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ladle_rt.benchmark.benchmark_cases import Case, make_cases
from ladle_rt.benchmark.benchmark_report import BenchmarkReport
from ladle_rt.benchmark.benchmark_settings import BenchmarkSettings
from ladle_rt.benchmark.case_plan import plan_for_case
from ladle_rt.benchmark.case_worker import CaseRequest, QualityRequest, pair_to_dict
from ladle_rt.benchmark.picture_quality import quality_sample, shown
from ladle_rt.benchmark.provenance import BUSY_PERCENT, busy_percent, provenance
from ladle_rt.errors import BackendError
from ladle_rt.geometry import fit_letterbox

START_TIMEOUT_S = 120.0
"""For loading an engine, on top of what is measured."""
FRAME_TIMEOUT_S = 60.0
"""For one frame of the quality sample, painted and scored."""


def run_benchmark(
    settings: BenchmarkSettings,
    command: str,
    on_update: Callable[[BenchmarkReport], None] = lambda report: None,
    watch: Callable[[Sequence[Any]], Iterable[Any]] = iter,
    notify: Callable[[str], object] = lambda line: None,
) -> BenchmarkReport:
    """Measure everything; a case that cannot run is in the report with the reason.

    Args:
        settings: what to measure.
        command: as typed, for the report.
        on_update: is given the report so far after each round of each case.
        watch: hands the steps on one by one, to show how far the benchmark is.
        notify: told what takes time before anything is measured.

    Raises:
        ModelError: a model that cannot be used.
        ConfigError: two models of one name and precision.
    """
    with tempfile.TemporaryDirectory(prefix="ladle-rt-benchmark-") as name:
        folder = Path(name)
        cases = make_cases(settings, folder, notify)
        facts = provenance(command)
        thermal = shown(quality_sample(settings.frame_size, 1)[0].pixels)
        busy: list[float] = []

        def report(complete: bool) -> BenchmarkReport:
            load = {
                "busy_percent": busy,
                "quiet": max(busy, default=0.0) <= BUSY_PERCENT,
            }
            done = tuple(case.result() for case in cases if case.answers or case.refusal)
            return BenchmarkReport(complete, {**facts, **load}, settings.to_dict(), done, thermal)

        steps = [case for _ in range(settings.rounds) for case in cases if case.refusal is None]
        for case in watch(steps):
            if case.refusal is not None:
                continue
            _build(case, settings, folder, notify)
            if case.refusal is None:
                busy.append(busy_percent())
                answer = _ask(case, settings, folder)
                if "status" in answer:
                    case.refuse(answer["reason"], answer["status"])
                else:
                    case.answers.append(answer)
            on_update(report(complete=False))
        found = report(complete=True)
        on_update(found)
        return found


def _build(
    case: Case, settings: BenchmarkSettings, folder: Path, notify: Callable[[str], object]
) -> None:
    """The plan of a TensorRT case, in its first round."""
    if case.engine.backend != "tensorrt" or case.plan is not None:
        return
    shape = fit_letterbox(*settings.frame_size, case.size, case.artifact.info.size_multiple).padded
    notify(f"building a {case.precision} plan of {case.name} for {shape[1]}x{shape[0]}")
    try:
        case.plan, case.file = plan_for_case(
            case.artifact, case.precision, shape, settings.calibration, folder / "plans"
        )
    except BackendError as error:
        case.refuse(str(error))


def _ask(case: Case, settings: BenchmarkSettings, folder: Path) -> dict[str, Any]:
    """One round in a process of its own: the worker's answer, or a status and a reason."""
    request = case_request(case, settings, folder)
    measurements = 2 + len(settings.streams)
    # Ten frames are always measured, on the slowest machine a few seconds each.
    timeout_s = START_TIMEOUT_S + measurements * (settings.limits.seconds + 60)
    if request.quality is not None:
        timeout_s += (request.quality.frames + len(request.quality.pairs)) * FRAME_TIMEOUT_S
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


def case_request(case: Case, settings: BenchmarkSettings, folder: Path) -> CaseRequest:
    """What the worker of the next round is asked.

    Args:
        case: with its plan, where it needs one.
        settings: what to measure.
        folder: where pictures of fp32 are kept.
    """
    return CaseRequest(
        model=str(case.artifact.onnx_path),
        backend=case.engine.backend,
        device=case.engine.device,
        size=case.size,
        frame_size=settings.frame_size,
        limits=settings.limits,
        streams=settings.streams,
        # Pictures are the same in every round: they are scored in the first.
        quality=None if case.answers else _quality(case, settings, folder),
        plans=None if case.plan is None else str(case.plan),
        started_s=time.time(),
    )


def _quality(case: Case, settings: BenchmarkSettings, folder: Path) -> QualityRequest:
    pairs = () if settings.truth is None else settings.truth.pairs
    return QualityRequest(
        frames=settings.quality_frames,
        reference=None if case.reference is None else str(case.reference.onnx_path),
        best=case.best,
        cache=str(folder),
        pairs=tuple(pair_to_dict(pair) for pair in pairs),
    )
