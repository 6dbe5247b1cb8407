"""What a live stream does about each fault, and how long until pictures are fresh again.

    python benchmarks/fault_matrix.py [--output FILE]

Plays the scripted source of the tests through the real pipeline, front end and watchdog.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
from pathlib import Path
from typing import Any

import numpy as np
from helpers import write_result

TESTS = Path(__file__).resolve().parents[1] / "tests" / "pipeline" / "live"
ROUNDS = 5
USUAL = 3.0
"""Latency above so many times the median before the fault is not back to normal."""


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recovery_s(played: dict[str, Any]) -> float:
    """From the fault to the first picture after which latency is as it was."""
    at_s = played["camera"].fault_times_s[0]
    times = played["latencies"]
    before = [age for position, age in times if position < at_s]
    limit = max(USUAL * float(np.median(before)), 10.0)
    after = [(position, age) for position, age in times if position > at_s]
    late = [position for position, age in after if age > limit]
    last_late_s = late[-1] if late else at_s
    gaps = [(b - a, b) for (a, _), (b, _) in zip([(at_s, 0.0), *after], after, strict=False)]
    longest, end_s = max(gaps)
    return max(last_late_s, end_s if longest > 0.05 else at_s) - at_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    logging.getLogger("ladle_rt").setLevel(logging.CRITICAL)
    faults = load("test_faults")
    results = {}
    print("| fault | outcome | back to normal, s (median, worst of 5) |")
    print("|---|---|---|")
    for fault in faults.scripted.FAULTS:
        times = []
        for _ in range(ROUNDS):
            played = faults.play([fault])
            faults.check(played)
            times.append(recovery_s(played))
        result = played["result"]
        dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(result.dropped.items()))
        parts = [
            f"{result.presented} of {result.captured} presented", dropped,
            f"{result.held} held" if result.held else "", " ".join(played["events"]),
        ]  # fmt: skip
        outcome = "; ".join(part for part in parts if part)
        median, worst = float(np.median(times)), max(times)
        results[fault] = {"outcome": outcome, "recovery_s": [round(median, 3), round(worst, 3)]}
        print(f"| {fault} | {outcome} | {median:.2f}, {worst:.2f} |")
    if options.output is not None:
        write_result(options.output, "fault_matrix", {"rounds": ROUNDS}, results)


if __name__ == "__main__":
    main()
