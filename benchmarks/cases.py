"""Inputs as users have them, by the command line: what is right, and what comes out.

    python benchmarks/cases.py --cases FOLDER [--output FILE]

A row is right where the exit code, the number and size of the pictures and what is said agree.
What the cases' own table leaves open (it gives no sizes, few numbers, and says "12 frames" of two
stacks of which one holds 6) is told by others than our readers: the column ``holds`` is what Pillow,
ffprobe or the length of the file say is in it. "nobody else" stands where only we can tell.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from helpers import write_result
from PIL import Image

TIMEOUT_S = 300
STILLS = {".png", ".tif", ".jpg", ".pgm"}
VIDEOS = {".mp4", ".ts", ".mkv"}


class Case(NamedTuple):
    """One row."""

    name: str
    options: str = ""
    size: str = ""
    """Of the pictures, width x height; empty: none are made."""
    pictures: int = 1
    code: int = 0
    said: str = ""
    command: str = "image"


CASES = (
    Case("rect_border16.png", "", "320x256"),
    Case("boson_320x258.png", "", "320x256", said="2 rows are telemetry"),
    Case("tc001_record_256x384.mkv", "--isotherm 30C", "256x192", 6, said="raw counts, its lower",
         command="video"),
    Case("tc001_USB_Camera.png", "", "256x192", said="picture, its upper"),
    Case("real_FLIR_E40_masked.jpg", "--isotherm 22C", "160x120", said="its raw counts are read"),
    Case("flir_like.fff", "", "160x120"),
    Case("flir_like.fff", "--isotherm 22C", code=1, said="a source that knows temperatures"),
    Case("flir_like.seq", "", "160x120", 3),
    Case("blackhot.png", "--polarity auto", "640x512", said="taken as black-hot (sure)"),
    Case("blackhot.png", "--polarity black-hot", "640x512"),
    Case("osd_colourbar.png", "", "640x512"),
    Case("dual_view.png", "", code=1, said="--crop"),
    Case("dual_view.png", "--crop 320,0,320,256", "320x256"),
    Case("palette_mode.png", "", "320x256"),
    Case("celsius_f32.tif", "--temperature celsius --isotherm 15C", "320x256"),
    Case("celsius_i16.tif", "--temperature celsius/10 --isotherm 15C", "320x252"),
    Case("celsius_f32.tif", "--isotherm 15C", code=1, said="a source that knows temperatures"),
    Case("stack12.tif", "", "160x128", 12),
    Case("stack12.npy", "", "160x128", 6),
    Case("dump_160x128.y16", "", code=1, said="--raw-size"),
    Case("dump_160x128.y16", "--raw-size 160x128", "160x128"),
    Case("lepton_pgm", "", "80x60", 3),
    Case("nested", "--recursive", "160x128", 4),
    Case("exif_gps_orient6.jpg", "", "256x320"),
    Case("metadata.mp4", "", "160x128", 20, command="video"),
    Case("interlaced.ts", "", "360x288", 20, said="deinterlaced", command="video"),
    Case("slice_damaged.mp4", "", "160x128", 20, 3, "damaged", "video"),
    Case("two_tracks.mp4", "--track thermal", "160x128", 20, command="video"),
    Case("mpeg2.ts", "", "160x128", 20, command="video"),
    Case("rtp96.sdp", "", code=1, command="video", said="rtp96.sdp"),
)  # fmt: skip


def run(case: Case, folder: Path) -> dict[str, Any]:
    """One command; what came of it."""
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / ("out" if case.command == "image" else "out.mkv")
        source = str(folder / case.name)
        where = ["-o", str(target)] if case.command == "image" else [str(target)]
        done = subprocess.run(
            [sys.executable, "-m", "ladle_rt", case.command, source, *where, *case.options.split()],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        pictures, size = _outputs(target)
    lines = (done.stdout + done.stderr).strip().splitlines()
    said = next((line for line in lines if case.said and case.said in line), "")
    right = (
        done.returncode == case.code
        and case.said in done.stdout + done.stderr
        and (not case.size or (pictures, size) == (case.pictures, case.size))
        and (case.code != 1 or pictures == 0)
    )
    return {
        "options": case.options,
        "holds": holds(folder / case.name),
        "expected": _words(case.code, case.pictures if case.size else None, case.size, case.said),
        "got": _words(done.returncode, pictures, size, said.replace(str(folder) + "/", "")),
        "right": right,
    }


def holds(path: Path) -> str:
    """How many pictures of which size a file holds, by somebody else's reader."""
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in STILLS)
        with contextlib.ExitStack() as stack:
            sizes = {stack.enter_context(Image.open(one)).size for one in inside}
        width, height = sizes.pop()
        return f"{len(inside)} of {width}x{height} (Pillow)" if not sizes else "several sizes"
    if path.suffix == ".npy":
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            (_, *sides), _, dtype = np.lib.format.read_array_header_1_0(file)
            count = (path.stat().st_size - file.tell()) // (math.prod(sides) * dtype.itemsize)
        return f"{count} of {sides[1]}x{sides[0]} (length of the file)"
    if path.suffix in STILLS:
        with Image.open(path) as image:
            return f"{getattr(image, 'n_frames', 1)} of {image.width}x{image.height} (Pillow)"
    if path.suffix in VIDEOS and shutil.which("ffprobe"):
        told = subprocess.run(
            ["ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-of", "csv=p=0",
             "-show_entries", "stream=width,height,nb_read_packets", str(path)],
            capture_output=True, text=True, check=True, timeout=TIMEOUT_S,
        ).stdout.split()  # fmt: skip
        tracks = dict.fromkeys(tuple(line.strip(",").split(",")) for line in told)
        return " and ".join(f"{n} of {w}x{h}" for w, h, n in tracks) + " (ffprobe)"
    return "nobody else"


def _words(code: int, pictures: int | None, size: str, said: str) -> str:
    parts = [f"exit {code}"]
    if pictures and size:
        parts.append(f"{pictures} of {size}")
    return ", ".join(parts) + (f': "{said}"' if said else "")


def _outputs(target: Path) -> tuple[int, str]:
    """How many pictures were made, and their size."""
    files = sorted(target.rglob("*.png")) if target.is_dir() else [target]
    count, size = 0, ""
    for file in files:
        if file.exists():
            with av.open(str(file)) as container:
                for frame in container.decode(video=0):
                    count, size = count + 1, f"{frame.width}x{frame.height}"
    return count, size


def main() -> None:
    """Print the table, and record it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    results = {}
    for number, case in enumerate(CASES):
        row = run(case, given.cases)
        results[f"{number:02d} {case.name}"] = row
        mark = "right" if row["right"] else "WRONG"
        print(
            f"{mark} | {case.name} {case.options} | {row['holds']} | {row['expected']} | "
            f"{row['got']}",
            flush=True,
        )
    if given.output is not None:
        write_result(given.output, "cases", {"commands": len(CASES)}, results)
    sys.exit(not all(row["right"] for row in results.values()))


if __name__ == "__main__":
    main()
