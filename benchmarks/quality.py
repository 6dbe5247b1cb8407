"""How natural the shipped models' pictures are, on pairs that nothing was trained on.

    python benchmarks/quality.py --set "TITLE=FOLDER[:SPLIT]" [--set ...] [--model NAME ...]
        [--output benchmarks/results/quality.json]

Each set goes through `ladle-rt evaluate`: as painted against the truth in the models' look, and
against the raw truth. The tables of README and model card are made from what is recorded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers import write_result

from ladle_rt.models.artifact import load_artifact

MODELS = ("ladlenet-plus-daylight", "ladlenet-plus-compact", "ladlenet-compact")
PAINTED = (
    *("ms_ssim", "psnr_db", "ciede2000", "perceptual"),
    *("contrast_ratio", "chroma_ratio", "sharpness_ratio", "black_point", "black_point_truth"),
)
RAW = ("ssim", "ms_ssim", "psnr_db")


def evaluated(folder: str, split: str | None, models: Sequence[str]) -> Mapping[str, Any]:
    """The JSON report of `ladle-rt evaluate`.

    Raises:
        CalledProcessError: it failed, and said why.
    """
    with tempfile.TemporaryDirectory() as name:
        report = Path(name, "report.json")
        command = [sys.executable, "-m", "ladle_rt", "evaluate", "--data", folder]
        command += ["--json", str(report), *(part for m in models for part in ("--model", m))]
        subprocess.run(
            command + (["--split", split] if split else []), check=True, stdout=subprocess.DEVNULL
        )
        found: Mapping[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of one report: means, and KID with its interval, by picture."""
    painted, raw = report["as_painted"]["means"]["all"], report["means"]["all"]
    rows: dict[str, Any] = {}
    for name, means in painted.items():
        if name == "images":
            continue
        kid = report["as_painted"]["kid"]["all"].get(name)
        rows[name] = {
            "painted": {key: means[key] for key in PAINTED if key in means},
            "kid": kid and [kid["value"], *kid["interval"]],
            "raw": {key: raw[name][key] for key in RAW},
        }
    return {"images": painted["images"], "rows": rows}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--set", action="append", required=True, dest="sets")
    parser.add_argument("--model", action="append", dest="models")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    models = given.models or list(MODELS)
    results = {}
    for one in given.sets:
        title, _, place = one.partition("=")
        folder, _, split = place.partition(":")
        results[title] = summary(evaluated(folder, split or None, models))
        print(title, json.dumps(results[title]["rows"][models[0]]), flush=True)
    settings = {name: load_artifact(name).info.onnx_sha256 for name in models}
    if given.output:
        write_result(given.output, "quality", {"models": settings}, results)


if __name__ == "__main__":
    main()
