"""How often polarity is told, and how often wrongly: also on cameras that no threshold has seen.

    python benchmarks/polarity.py --data FOLDER [--output FILE]

The thresholds were chosen on the folders of ``CHOSEN``, so figures on these flatter. Two that do
not: ``UNSEEN`` pictures, and each camera left out in turn, with thresholds as near to the others'
white-hot pictures as the real ones are to all.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from helpers import write_result

from ladle_rt.thermal import polarity

CHOSEN = (
    "roadscene/ir", "metu-vistir/ir", "msrs/ir", "m3fd/ir", "hit-uav-thermal-only",
    "msrs-thermal-only", "kaist-mini/set00/V000/lwir", "more-pairs/irsurvey-palette/ir",
    "more-pairs/m3fd-extra/ir", "more-pairs/m3svd/ir", "more-pairs/starain/ir",
    "more-pairs/vifb/ir", "more-pairs/wisard/ir", "still16",
)  # fmt: skip
UNSEEN = ("flir-crops/ir",)
"""Crops of objects by the camera family of ``roadscene``: no sky, hard to tell."""


def closeness(pixels: Any) -> tuple[float, float]:
    """How near a picture is to count as black-hot, by sky and by spots; above 1 it does."""
    signs = polarity._signs(pixels)  # The script looks at the same figures as the program.
    sky = min(
        signs.sky_share / polarity.SMALLEST_SKY,
        signs.sky_width / polarity.SKY_WIDTH,
        signs.sky_rank / polarity.SKY_RANK,
        signs.sky_step / polarity.SKY_STEP,
    )
    spots = min(-signs.spot_ratio / polarity.SPOT_RATIO, -signs.skewness / polarity.SKEWNESS)
    return sky, spots


def look(folder: Path) -> np.ndarray:
    """float [N,4]: `closeness` of each white-hot picture, and of its inversion."""
    rows = []
    for path in sorted(folder.iterdir()):
        pixels = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH)
        if pixels is None:
            continue
        small = cv2.resize(pixels.astype(np.float32), polarity.SIDE, interpolation=cv2.INTER_AREA)
        low, high = np.percentile(small, [1, 99])
        if high > low:
            unit = ((small - low) / (high - low)).clip(0, 1).astype(np.float32)
            rows.append((*closeness(unit), *closeness(1 - unit)))
    return np.array(rows).reshape(-1, 4)


def figures(rows: np.ndarray, limit: np.ndarray) -> dict[str, int]:
    """Pictures, white-hot ones turned, inverted ones found."""
    wrong, found = ((rows[:, at : at + 2] > limit).any(axis=1).sum() for at in (0, 2))
    return {"pictures": len(rows), "turned wrongly": int(wrong), "inversions found": int(found)}


def main() -> None:
    """Print the table, and record it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    seen = {name: look(given.data / name) for name in CHOSEN}
    nearest = np.concatenate(list(seen.values()))[:, :2].max(axis=0)
    as_shipped = np.ones(2)
    results: dict[str, Any] = {
        "chosen on": figures(np.concatenate(list(seen.values())), as_shipped),
        "unseen": {name: figures(look(given.data / name), as_shipped) for name in UNSEEN},
    }
    left_out = {}
    for name, rows in seen.items():
        others = np.concatenate([rest for other, rest in seen.items() if other != name])
        left_out[name] = figures(rows, others[:, :2].max(axis=0) / nearest)
    results["each left out"] = left_out
    total = {key: sum(row[key] for row in left_out.values()) for key in results["chosen on"]}
    results["all that were left out"] = total
    for name, row in (*results.items(), *left_out.items()):
        print(f"{name}: {row}")
    if given.output is not None:
        write_result(given.output, "polarity", {"margin": "as shipped"}, results)


if __name__ == "__main__":
    main()
