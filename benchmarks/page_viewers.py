"""What 200 viewers of the figures and 100 of the pictures cost a live stream.

    python benchmarks/page_viewers.py [--rounds 4] [--seconds 5] [--output FILE]

Stretches without and with viewers take turns, so that a machine that is busy with other things is
so for both; only their ratio says something.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fuzz_page import load_preview_test
from helpers import Spread, write_result

FIGURES, PICTURES = 200, 100
START_S = 120.0


def presented(url: str) -> tuple[int, float]:
    """Pictures so far, and when."""
    with urllib.request.urlopen(f"{url}api/figures", timeout=30) as answer:
        values: dict[str, Any] = json.load(answer)
    return int(values["presented"]), time.monotonic()


def rate(url: str, seconds: float, crowd: Any = None) -> float:
    """Pictures per second over a stretch, while a crowd reads."""
    before, begin_s = presented(url)
    if crowd is None:
        time.sleep(seconds)
    else:
        crowd.read(seconds)
    after, end_s = presented(url)
    return (after - before) / (end_s - begin_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    viewers = load_preview_test("test_viewers")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        process = subprocess.Popen(
            [sys.executable, "-m", "ladle_rt", "stream", "--device", "synthetic", "--no-window",
             "--quality", "256x192", "--preview", "0"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        assert process.stderr is not None
        url = next(
            line.rpartition(" ")[2].strip() for line in process.stderr if "preview: http" in line
        )
        end_s = time.monotonic() + START_S
        while presented(url)[0] < 30 and time.monotonic() < end_s:
            time.sleep(0.2)
        port = int(url.rpartition(":")[2].strip("/"))
        paths = [viewers.FIGURES] * FIGURES + [viewers.PICTURES] * PICTURES
        alone, watched, shown = [], [], []
        for _ in range(options.rounds):
            alone.append(rate(url, options.seconds))
            with viewers.Crowd(port, paths) as crowd:
                crowd.read(1.0)
                before = crowd.pictures()[FIGURES:]
                watched.append(rate(url, options.seconds, crowd))
                after = crowd.pictures()[FIGURES:]
                got = [b - a for a, b in zip(before, after, strict=True)]
                shown.append(statistics.median(got) / options.seconds)
            time.sleep(0.5)
    ratios = [b / a for a, b in zip(alone, watched, strict=True)]
    results = {
        "alone_fps": Spread.of(alone).to_list(),
        "watched_fps": Spread.of(watched).to_list(),
        "ratio": Spread.of(ratios).to_list(),
        "viewer_fps": Spread.of(shown).to_list(),
    }
    for name, values in results.items():
        print(f"{name}: {values[1]} ({values[0]} to {values[2]})")
    if options.output is not None:
        settings = {"rounds": options.rounds, "seconds": options.seconds,
                    "figures_viewers": FIGURES, "picture_viewers": PICTURES,
                    "machine": "shared with other work while this was measured"}  # fmt: skip
        write_result(options.output, "page_viewers", settings, results)


if __name__ == "__main__":
    main()
