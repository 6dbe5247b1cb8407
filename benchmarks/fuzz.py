"""Mutated inputs for each entrance: image, video, SDP, JSON, TOML, ONNX, the page's HTTP.

    python benchmarks/fuzz.py [--entrance NAME]... [--cases N] [--minutes M] [--output FILE]
    python benchmarks/fuzz.py --entrance NAME --case NUMBER

A fault is a hang, a crash, an exception that is none of the package's, a message of several lines,
or memory that grows by more than a bound. Exit code 1 with any. The second form makes one case
again and shows its traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from fuzz_workers import ADDRESSES, CASE_S, GROWTH_MB, Worker, case_data, fuzz, open_entrance
from helpers import write_result

SEED = 20_261_129
NAMES = ("image", "video", "sdp", "json", "toml", "onnx", "http")


def show(name: str, seed: int, number: int) -> None:
    """Make one case again, in this process; it is left in the working folder."""
    with tempfile.TemporaryDirectory() as folder:
        entrance = open_entrance(name, Path(folder))
        case_name, data = case_data(entrance, seed, number)
        Path(f"case-{number}-{case_name}").write_bytes(data)
        print(f"{case_name}, {len(data)} bytes: {data[:300]!r}", flush=True)
        try:
            entrance.read(case_name, data)
        finally:
            entrance.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entrance", action="append", choices=NAMES)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--case", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.case is not None:
        show(options.entrance[0], options.seed, options.case)
        return
    limit_s = None if options.minutes is None else 60 * options.minutes
    settings = {
        "seed": options.seed, "case_s": CASE_S, "growth_mb": GROWTH_MB,
        "address_space_mb": ADDRESSES >> 20,
    }  # fmt: skip
    results = {}
    if options.output is not None and options.output.exists():
        # Entrances may be run one at a time; only those of the same seed belong together.
        held = json.loads(options.output.read_text(encoding="utf-8"))
        results = held["results"] if held["settings"] == settings else {}
    failed = False
    print("| entrance | cases | read | refused | faults | slowest CPU s | memory growth MB |")
    print("|---|---|---|---|---|---|---|")
    for name in options.entrance or NAMES:
        # Each in a process of its own: peaks of memory do not hide each other.
        worker = Worker(options.seed)
        tally = fuzz(worker, name, range(options.cases), limit_s)
        worker.end()
        facts = tally.facts()
        failed |= bool(tally.faults)
        print(
            f"| {name} | {facts['cases']} | {facts.get('read', 0)} | {facts.get('refused', 0)} | "
            f"{len(tally.faults)} | {facts['slowest_cpu_s']} | {facts['memory_growth_mb']} |",
            flush=True,
        )
        for line in facts["faults"]:
            print(f"  {line}", flush=True)
        results[name] = facts
        if options.output is not None:
            write_result(options.output, "fuzz", settings, results)
    sys.exit(failed)


if __name__ == "__main__":
    main()
