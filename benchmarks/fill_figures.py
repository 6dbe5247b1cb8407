"""Fills the marked blocks of texts from recorded results, so that no figure is typed by hand.

    python benchmarks/fill_figures.py [--check]

A block is what stands between ``<!-- figures: NAME -->`` and ``<!-- end -->``; `BLOCKS` says how
it is made from a file in `results/`. ``--check`` writes nothing and ends with 1 where a text
differs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peers import TITLES

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TEXTS = (ROOT / "README.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs").rglob("*.md"))
MARKED = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
Record = Mapping[str, Any]


def table(*rows: tuple[str, ...]) -> str:
    """Markdown; the first row is the headings."""
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def machine(record: Record) -> str:
    """Where and when, in words."""
    of = record["machine"]
    return f"{of['cores']} cores of {of['cpu']}, {of['system']}, {record['date']}"


def number(value: float) -> str:
    """Three significant digits, and no exponent."""
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.0f}"


def speed(record: Record) -> str:
    """The whole job against the naive loop and the floor; medians."""
    names = {
        "onnxruntime": "`ladle-rt video`, ONNX Runtime",
        "onnxruntime, bare": "the same without flicker suppression and shutter",
        "openvino": "`ladle-rt video`, OpenVINO",
        "openvino, bare": "the same without flicker suppression and shutter",
        "naive": "naive cv2 + ONNX Runtime loop",
    }
    settings, results = record["settings"], record["results"]
    rows = [
        (
            f"{settings['frames']} frames of 640x512 at {settings['size']}, H.264 in and out",
            *("wall s", "of the naive loop", "of the floor", "CPU s", "peak MB", "first frame s"),
        )
    ]
    for name, title in names.items():
        if name not in results:
            continue
        one = results[name]
        keys = ("wall_s", "wall_over_naive", "wall_over_floor", "cpu_s", "peak_rss_mb")
        first = number(one["first_frame_s"][1]) if "first_frame_s" in one else ""
        rows.append((title, *(number(one[key][1]) for key in keys), first))
    floor = results["floor"]
    cpu_s = sum(floor[key][1] for key in ("decode_s", "network_s", "encode_s"))
    title = "floor: decode + network + encode alone, over the cores"
    rows.append((title, number(floor["wall_s"][1]), "", "1", number(cpu_s), "", ""))
    return f"{machine(record)}; {settings['model']}, medians of {settings['runs']} turns.\n\n" + (
        table(*rows)
    )


def live(record: Record) -> str:
    """Frames and latency of the live stream."""
    rows = [("", "frames/s in", "presented", "dropped", "latency p50", "p95", "p99 ms")]
    results = record["results"]
    for name, title in (("1x", "as a camera"), ("2x", "twice what the machine can do")):
        one = results[name]
        dropped = ", ".join(f"{count} {why}" for why, count in one["dropped"].items()) or "0"
        latency = one["latency_ms"]
        rows.append(
            (
                *(title, number(one["fps_in"]), f"{one['presented']} of {one['captured']}"),
                *(dropped, *(f"{latency[key]:.1f}" for key in ("p50", "p95", "p99"))),
            )
        )
    return (
        f"{machine(record)}; 640x512, the network alone takes {results['network_ms']:.1f} ms.\n\n"
        + table(*rows)
    )


def peers(record: Record) -> str:
    """Every contender's ratios to the naive loop: median, and range over turns."""
    settings, results = record["settings"], record["results"]

    def ratio(one: Record, figure: str) -> str:
        low, middle, high = one["of_naive"][figure]
        return f"{middle:.2f} ({low:.2f}-{high:.2f})"

    rows = [
        ("", "frames/s", "of naive", "CPU s, of naive", "latency p50, of naive", "memory, of naive")
    ]
    for name, title in TITLES.items():
        if name in results:
            one = results[name]
            figures = ("fps", "cpu_s", "p50_ms", "peak_rss_mb")
            rows.append((title, number(one["fps"][1]), *(ratio(one, key) for key in figures)))
    left = "".join(
        f"- left out: {TITLES.get(name, name)}: {why}\n"
        for name, why in settings["skipped"].items()
    )
    loud = (
        ""
        if settings["quiet"]
        else (
            " **The machine was busy with other work: absolute figures are too slow, ratios vary.**"
        )
    )
    return (
        f"{machine(record)}; {settings['model']}, {settings['frames']} frames of 640x512 at "
        f"256x192, medians of {settings['runs']} turns, ranges in brackets.{loud}\n\n"
        f"{table(*rows)}\n{left}"
    )


BLOCKS: dict[str, tuple[str, Callable[[Record], str]]] = {
    "speed": ("video_cpu.json", speed),
    "live": ("live_latency.json", live),
    "peers": ("peers.json", peers),
}
"""By name: the recorded result, and what is made of it."""


def filled(text: str, origin: str) -> str:
    """A text with its blocks made anew.

    Raises:
        ValueError: an unknown block.
    """

    def make(found: re.Match[str]) -> str:
        name = found[2]
        if name not in BLOCKS:
            raise ValueError(f"{origin}: expected a block of {sorted(BLOCKS)}, received {name!r}")
        file, write = BLOCKS[name]
        record = json.loads((RESULTS / file).read_text(encoding="utf-8"))
        return f"{found[1]}\n{write(record).rstrip()}\n\n{found[3]}"

    return MARKED.sub(make, text)


def main() -> None:
    """Fill or check every text."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    stale = False
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        new = filled(text, path.name)
        if new != text:
            stale = True
            print(f"{path.relative_to(ROOT)}: {'differs' if given.check else 'filled'}")
            if not given.check:
                path.write_text(new, encoding="utf-8")
    sys.exit(given.check and stale)


if __name__ == "__main__":
    main()
