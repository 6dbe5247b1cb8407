"""Fills the marked blocks of texts from recorded results, so that no figure is typed by hand.

    python benchmarks/fill_figures.py [--check]

A block is what stands between ``<!-- figures: NAME -->`` and ``<!-- end -->``; `BLOCKS` says how
it is made from a file in `results/`, or says that there is none yet. ``--check`` writes nothing
and ends with 1 where a text differs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from figure_tables import Record, machine, number, table
from peers import TITLES
from scale_figures import archive, overhead, serve, thousand

from ladle_rt.experiments.experiment_plan import ALL
from ladle_rt.experiments.experiment_result import read_result
from ladle_rt.experiments.experiment_tables import group_tables, scale_sentence

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TEXTS = (
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "ladle_rt" / "weights" / "ladlenet-plus-daylight.md",
    *(ROOT / "docs").rglob("*.md"),
)
MARKED = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


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


SHORT = ("ladlenet-plus-daylight", "ladlenet-plus-compact", "inverted grey")
"""Rows of the table in the README."""
FULL = (*SHORT[:2], "ladlenet-compact", "mean colour", SHORT[2])


def painted(record: Record, names: tuple[str, ...]) -> str:
    """Pictures as painted, against the truth in the look."""
    heads = ("MS-SSIM", "PSNR dB", "CIEDE2000", "perceptual", "KID", "contrast", "chroma")
    rows = [("pairs", "picture", *heads, "sharpness", "black L*")]
    for title, one in record["results"].items():
        for place, name in enumerate(names):
            figures = one["rows"][name]["painted"]
            kid = one["rows"][name]["kid"]
            rows.append(
                (
                    f"{title}, {one['images']}" if place == 0 else "",
                    name,
                    f"{figures['ms_ssim']:.3f}",
                    f"{figures['psnr_db']:.1f}",
                    f"{figures['ciede2000']:.1f}",
                    f"{figures['perceptual']:.3f}",
                    f"{kid[0]:.2f}",
                    *(f"{figures[f'{key}_ratio']:.2f}" for key in ("contrast", "chroma")),
                    f"{figures['sharpness_ratio']:.2f}",
                    f"{figures['black_point']:.0f}",
                )
            )
    return table(*rows)


def raw(record: Record) -> str:
    """The same pictures against the raw truth."""
    rows = [("pairs", "picture", "SSIM", "MS-SSIM", "PSNR dB")]
    for title, one in record["results"].items():
        for place, name in enumerate(FULL):
            figures = one["rows"][name]["raw"]
            rows.append(
                (
                    title if place == 0 else "",
                    name,
                    *(f"{figures[key]:.3f}" for key in ("ssim", "ms_ssim")),
                    f"{figures['psnr_db']:.2f}",
                )
            )
    return table(*rows)


STRENGTHS = (0.0, 0.5, 0.75, 1.0)


def flicker(record: Record) -> str:
    """Flicker and warping error by strength of the suppression, levels smoothed as by default."""
    model = record["settings"]["model"]
    heads = tuple(f"{strength:g}" for strength in STRENGTHS)
    rows = [("`--steady`", *heads, "real camera", "warping over the real one's, 0 and 1")]
    for video, every in record["results"].items():
        found = {row["strength"]: row for row in every if row["levels"] != "each frame"}
        real = found["truth"]
        rows.append(
            (
                f"{video}, {model}",
                *(f"{found[strength]['flicker']:.2f}" for strength in STRENGTHS),
                f"{real['flicker']:.2f}",
                ", ".join(
                    f"{found[strength]['warping_l1'] / real['warping_l1']:.2f}"
                    for strength in (0.0, 1.0)
                ),
            )
        )
    return f"{machine(record)}.\n\n{table(*rows)}"


EXPERIMENTS = {
    "l1-ms-ssim": (ALL,),
    "networks": (ALL,),
    "alpha": (ALL,),
    "hundred-images": (ALL,),
    "translators": (ALL,),
    "mechanisms": (ALL, "street", "no street"),
    "signatures": (ALL,),
    "backbones": (ALL, "urban", "rural"),
    "leakage": ("drives that random frames saw", "control: RoadScene E"),
}
"""Those with a record in `results/experiments`, and the groups of frames that are shown."""


def experiment(name: str) -> str:
    """Figures, and the differences that say something; the record has every set."""
    result = read_result(RESULTS / "experiments" / f"{name}.json")
    lines = [scale_sentence(result), ""]
    for group in EXPERIMENTS[name]:
        lines += () if group == ALL else (f"**{group}**", "")
        lines += group_tables(result, group, brief=True)
    return "\n".join(lines)


NO_RECORD = "No run is recorded yet: there is no `benchmarks/results/{}`."
BLOCKS: dict[str, tuple[str, Callable[[Record], str]]] = {
    "speed": ("video_cpu.json", speed),
    "live": ("live_latency.json", live),
    "peers": ("peers.json", peers),
    "peers-vapoursynth": ("peers_python312.json", peers),
    "flicker": ("flicker.json", flicker),
    "quality": ("quality.json", lambda record: painted(record, SHORT)),
    "quality-full": ("quality.json", lambda record: painted(record, FULL)),
    "quality-raw": ("quality.json", raw),
    **{
        f"experiment-{name}": (f"experiments/{name}.json", lambda _, name=name: experiment(name))
        for name in EXPERIMENTS
    },
    "archive": ("archive_scale.json", archive),
    "archive-overhead": ("archive_overhead.json", overhead),
    "archive-thousand": ("archive_scale.json", thousand),
    "serve": ("serve_soak.json", serve),
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
        path = RESULTS / file
        text = NO_RECORD.format(path.name)
        if path.exists():
            text = write(json.loads(path.read_text(encoding="utf-8"))).rstrip()
        return f"{found[1]}\n{text}\n\n{found[3]}"

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
