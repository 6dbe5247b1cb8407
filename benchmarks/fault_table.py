"""What commands do about what users, files and machines do wrong: a row for each fault.

    python benchmarks/fault_table.py [--output FILE] [--only WORD]

Every fault is really done to a command of its own. Expected are an exit code, a word of what is
said, and what lies in the folder afterwards; everywhere no traceback, and an end within a bound.
The live stream's own faults are in ``fault_matrix.py``. Exit code 1 where a row is not as expected.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from fault_rows import ROWS, Bench, Row
from helpers import write_result

LIMIT_S = 120.0
"""For a command on a shared machine; quiet ones take two seconds."""


def play(row: Row, bench: Bench) -> dict[str, object]:
    """Do one fault and judge what came of it."""
    begin_s = time.monotonic()
    done = row.do(bench)
    taken_s = time.monotonic() - begin_s
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    said = next((line for line in lines if row.says in line), lines[-1] if lines else "")
    problem = row.after(bench) if row.after else ""
    good = (
        done.returncode in row.codes
        and row.says in done.stderr
        and "Traceback" not in done.stderr
        and not problem
        and taken_s < LIMIT_S
    )
    folder = str(bench.folder)
    got = f"{done.returncode}: {said.replace(folder + '/', '').replace(folder, '.')[:160]}"
    return {
        "expected": f"{' or '.join(map(str, row.codes))}: {row.expected}",
        "got": f"{got}; {problem}" if problem else got,
        "as_expected": good,
        "wall_s": round(taken_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    print("| fault | expected | got | as expected |")
    print("|---|---|---|---|")
    for row in ROWS:
        if options.only not in row.fault:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = results[row.fault] = play(row, Bench(Path(folder)))
        print(
            f"| {row.fault} | {found['expected']} | {found['got']} | "
            f"{'yes' if found['as_expected'] else 'NO'} |",
            flush=True,
        )
    if options.output is not None:
        write_result(options.output, "fault_table", {"limit_s": LIMIT_S}, results)
    sys.exit(not all(found["as_expected"] for found in results.values()))


if __name__ == "__main__":
    main()
