"""What flicker suppression gains and costs, on real video.

    python benchmarks/flicker.py --pairs FOLDER [--video FILE] [--output FILE]

The truth's own values are the floor: a real camera has noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ladle_rt.bench.record import write_result
from ladle_rt.bench.steadiness import measure_steadiness
from ladle_rt.bench.video_pairs import find_video_pairs
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
COLUMNS = ("flicker", "warping_l1", "ssim", "psnr_db", "moved", "blend_ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--video", type=Path, action="append", default=[])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    artifact = load_artifact(options.model)
    results: dict[str, Any] = {}
    print("| video | levels | strength |", " | ".join(COLUMNS), "|")
    print("|---|---|---|" + "---|" * len(COLUMNS))
    for video in (*find_video_pairs(options.pairs), *options.video):
        name = video.stem if isinstance(video, Path) else video.name
        rows: list[dict[str, Any]] = []
        for levels, smoothing_s in (("each frame", 0.0), ("smoothed", 1.0)):
            found, truth = measure_steadiness(
                artifact, video, STRENGTHS, smoothing_s, options.limit
            )
            rows += [{"levels": levels, **one.to_dict()} for one in found]
        if truth is not None:
            rows.append({"levels": "", "strength": "truth", **truth.to_dict()})
        results[name] = rows
        for row in rows:
            values = (row.get(column) for column in COLUMNS)
            cells = " | ".join("" if value is None else f"{value:.3g}" for value in values)
            print(f"| {name} | {row['levels']} | {row['strength']} | {cells} |")
    if options.output is not None:
        write_result(options.output, "flicker", {"model": options.model}, results)


if __name__ == "__main__":
    main()
