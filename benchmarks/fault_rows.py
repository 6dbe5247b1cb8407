"""The faults of `fault_table.py`, and a folder in which a command meets them."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from fault_files import hostile_model, png_bomb
from fuzz_seeds import INFO, network, scene

from ladle_rt.pipeline.sample import write_sample
from ladle_rt.sources.synthetic_source import DriveOptions

Done = subprocess.CompletedProcess[str]
LADLE = [sys.executable, "-m", "ladle_rt"]


class Bench:
    """A folder with a clip, a picture and a small model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model(network())
        cv2.imwrite(str(folder / "t.png"), scene())
        write_sample(folder / "t.mp4", DriveOptions(96, 64, 30, 1.0))
        self.before = (folder / "t.mp4").read_bytes()

    def model(self, graph: bytes, sha256: str | None = None) -> None:
        """Write ``m.onnx`` and the JSON beside it."""
        (self.folder / "m.onnx").write_bytes(graph)
        digest = sha256 or hashlib.sha256(graph).hexdigest()
        (self.folder / "m.json").write_text(replace(INFO, onnx_sha256=digest).to_json())

    def run(self, *words: str, shell: str = "", engine: bool = True) -> Done:
        """A command to its end; ``shell`` is a line in which ``"$@"`` stands for it."""
        command = [*LADLE, *words, *(self.engine(words[0]) if engine else ())]
        if shell:
            command = ["sh", "-c", shell, "sh", *command]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=300
        )

    def engine(self, command: str) -> list[str]:
        """The small model, where a command takes one."""
        takes = command in ("video", "image", "stream")
        return ["--model", "m.onnx", "--backend", "onnxruntime"] if takes else []

    def interrupted(self, number: int, *words: str, wait_for: str) -> Done:
        """A command that gets a signal once something is in its folder."""
        process = subprocess.Popen(
            [*LADLE, *words, *self.engine(words[0])],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        end_s = time.monotonic() + 60
        while not any(self.folder.glob(wait_for)) and time.monotonic() < end_s:
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=120)
        return Done(process.args, process.returncode, "", stderr)

    def write(self, name: str, data: bytes) -> str:
        """A file of any content."""
        (self.folder / name).write_bytes(data)
        return name

    def leftovers(self) -> list[str]:
        """Parts of files that nobody finishes."""
        return [path.name for path in self.folder.rglob(".*.part")]


@dataclass(frozen=True)
class Row:
    """A fault, and what is right."""

    fault: str
    expected: str
    """In words."""
    codes: tuple[int, ...]
    says: str
    """A part of what stands on standard error."""
    do: Callable[[Bench], Done]
    after: Callable[[Bench], str] | None = None
    """What is wrong with the folder afterwards; nothing: it is right."""


def clean(bench: Bench) -> str:
    """No output, no leftovers, and the input as before."""
    if (bench.folder / "t.mp4").read_bytes() != bench.before:
        return "the input was changed"
    made = [name for name in ("o.mp4", "o.mkv") if (bench.folder / name).exists()]
    return f"left {made + bench.leftovers()}" if made or bench.leftovers() else ""


def made(name: str) -> Callable[[Bench], str]:
    """A whole output, and no leftovers."""

    def look(bench: Bench) -> str:
        path = bench.folder / name
        if not path.exists() or not path.stat().st_size:
            return f"no {name}"
        if path.suffix in (".mp4", ".mkv") and not cv2.VideoCapture(str(path)).read()[0]:
            return f"{name} does not play"
        return f"left {bench.leftovers()}" if bench.leftovers() else ""

    return look


def _video(name: str, data: bytes) -> Callable[[Bench], Done]:
    return lambda bench: bench.run("video", bench.write(name, data), "o.mp4")


def _cut(bench: Bench) -> Done:
    bench.run("video", "t.mp4", "whole.mkv")
    data = (bench.folder / "whole.mkv").read_bytes()
    return bench.run("video", bench.write("cut.mkv", data[: len(data) * 2 // 3]), "o.mp4",
                     "--allow-colour")  # fmt: skip


def _colour(bench: Bench) -> Done:
    picture = cv2.applyColorMap((scene() >> 5).astype(np.uint8), cv2.COLORMAP_JET)
    cv2.imwrite(str(bench.folder / "c.png"), picture)
    return bench.run("image", "c.png", "-o", "out")


def _flat(bench: Bench) -> Done:
    cv2.imwrite(str(bench.folder / "f.png"), np.zeros((48, 64), np.uint8))
    return bench.run("image", "f.png", "-o", "out")


def _nan(bench: Bench) -> Done:
    cv2.imwrite(str(bench.folder / "n.tif"), np.full((48, 64), np.nan, np.float32))
    return bench.run("image", "n.tif", "-o", "out")


def _some_damaged(bench: Bench) -> Done:
    (bench.folder / "in").mkdir()
    for number in range(3):
        cv2.imwrite(str(bench.folder / "in" / f"{number}.png"), scene())
    (bench.folder / "in" / "1.png").write_bytes(b"no picture")
    return bench.run("image", "in", "-o", "out")


def _killed(bench: Bench) -> Done:
    words = ["stream", "--device", "synthetic", "--no-window", "--output", "o.mkv"]
    bench.interrupted(signal.SIGKILL, *words, wait_for="*o.mkv*")
    for path in bench.folder.glob("o.mkv"):
        path.unlink()
    return bench.run("video", "t.mp4", "o.mp4")


def _two_at_once(bench: Bench) -> Done:
    words = [*LADLE, "video", "t.mp4", "o.mp4", *bench.engine("video")]
    both = [
        subprocess.Popen(words, cwd=bench.folder, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [(one.communicate(timeout=300)[1], one.returncode) for one in both]
    said, code = max(ends, key=lambda end: end[1])
    return Done(words, code if {0} < {end[1] for end in ends} else -1, "", said)


def _port_taken(bench: Bench) -> Done:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        return bench.run(
            "stream", "--device", "synthetic", "--no-window", "--preview", port, "--max-frames", "3"
        )


def _deep_model(bench: Bench) -> Done:
    bench.write("m.json", b"[" * 200_000)
    return bench.run("image", "t.png", "-o", "out")


def _hostile(kind: str) -> Callable[[Bench], Done]:
    def do(bench: Bench) -> Done:
        bench.model(hostile_model(kind))
        return bench.run("image", "t.png", "-o", "out")

    return do


def _foreign_json(bench: Bench) -> Done:
    bench.model(network(), "ab" * 32)
    return bench.run("image", "t.png", "-o", "out")


def _small_mask(bench: Bench) -> Done:
    cv2.imwrite(str(bench.folder / "mask.png"), np.full((8, 8), 255, np.uint8))
    return bench.run("image", "t.png", "-o", "out", "--mask", "mask.png")


LIVE = ("stream", "--device", "synthetic", "--no-window", "--output", "o.mkv")
ROWS: tuple[Row, ...] = (
    Row("no such input", "said, nothing left", (1, 2), "no such file",
        lambda b: b.run("video", "none.mp4", "o.mp4"), clean),
    Row("empty input", "said, nothing left", (1,), "empty file", _video("e.mp4", b""), clean),
    Row("input that is no video", "said, nothing left", (1,), "not a video",
        _video("x.mp4", b"text\n" * 99), clean),
    Row("input cut short", "the rest is written and it is said", (3,), "damaged or cut short",
        _cut, made("o.mp4")),
    Row("folder as video, no images in it", "said", (1,), "found none",
        lambda b: b.run("video", ".", "o.mp4") if not (b.folder / "t.png").unlink() else b.run(),
        clean),
    Row("one damaged image of three", "two are written and it is said", (3,), "1.png",
        _some_damaged, made("out/2.png")),
    Row("false colours", "refused, with the ways out", (1,), "--from-palette", _colour),
    Row("picture of one value", "translated", (0,), "", _flat, made("out/f.png")),
    Row("no number in a picture", "refused", (1,), "only NaN", _nan),
    Row("raw dump without a size", "the option is named", (1,), "--raw-size",
        lambda b: b.run("image", b.write("d.y16", bytes(6144)), "-o", "out")),
    Row("crop beyond the picture", "both sizes are said", (1,), "expected a crop within 64x48",
        lambda b: b.run("image", "t.png", "-o", "out", "--crop", "0,0,999,9")),
    Row("mask of another size", "both sizes are said", (1,), "expected a mask", _small_mask),
    Row("output exists", "--overwrite is named, it stays", (1, 2), "--overwrite",
        lambda b: b.run("video", "t.mp4", b.write("old.mp4", b"old")),
        lambda b: "" if (b.folder / "old.mp4").read_bytes() == b"old" else "it was overwritten"),
    Row("output is the input", "refused, the input stays", (1, 2), "t.mp4",
        lambda b: b.run("video", "t.mp4", "t.mp4", "--overwrite"), clean),
    Row("two outputs of one name", "refused", (1, 2), "o.mkv",
        lambda b: b.run(*LIVE, "--output", "o.mkv", "--max-frames", "3"), clean),
    Row("two runs on one new file", "one has the name, the other says where its result is", (1,),
        "o.mp4", _two_at_once,
        made("o.mp4")),
    Row("no folder for the output", "said", (1, 2), "none/o.mp4",
        lambda b: b.run("video", "t.mp4", "none/o.mp4"), clean),
    Row("full disk", "said, nothing left", (1,), "o.mp4",
        lambda b: b.run("video", "t.mp4", "o.mp4", shell='ulimit -f 4; "$@"'), clean),
    Row("Ctrl-C", "a whole, shorter file", (0, 130), "",
        lambda b: b.interrupted(signal.SIGINT, *LIVE, wait_for="*o.mkv*"), made("o.mkv")),
    Row("SIGTERM", "a whole, shorter file", (0, 130, 143), "",
        lambda b: b.interrupted(signal.SIGTERM, *LIVE, wait_for="*o.mkv*"), made("o.mkv")),
    Row("SIGHUP", "a whole, shorter file", (0, 129, 130), "",
        lambda b: b.interrupted(signal.SIGHUP, *LIVE, wait_for="*o.mkv*"), made("o.mkv")),
    Row("kill -9, and another run", "what it left is cleaned up", (0,), "", _killed, made("o.mp4")),
    Row("standard streams closed", "the work is done", (0,), "",
        lambda b: b.run("video", "t.mp4", "o.mp4", shell='"$@" 0<&- 1>&- 2>&-'), made("o.mp4")),
    Row("reader of a pipe gone", "silence", (0, 1), "",
        lambda b: b.run("models", shell='"$@" | true'),),
    Row("/dev/zero as an image", "refused", (1,), "no regular file",
        lambda b: b.run("image", "/dev/zero", "-o", "out")),
    Row("/dev/zero as settings", "refused", (1, 2), "no regular file",
        lambda b: b.run("train", "--config", "/dev/zero", "-o", "run")),
    Row("PNG of 900 KB that unfolds to 900 MB", "refused", (1,), "received a larger one",
        lambda b: b.run("image", b.write("b.png", png_bomb()), "-o", "out")),
    Row("size without bound", "usage error", (2,), "--size",
        lambda b: b.run("sample", "o.mp4", "--size", "1000000x1000000"), clean),
    Row("network that loops for ever", "refused", (1,), "operator Loop", _hostile("loop")),
    Row("network that wants 10 GB", "refused", (1,), "does not run", _hostile("memory")),
    Row("model JSON nested 200,000 deep", "refused", (1,), "nested too deeply", _deep_model),
    Row("JSON of another model", "refused", (1,), "describes another file", _foreign_json),
    Row("mistyped command", "the right one is named", (2,), "did you mean video",
        lambda b: b.run("vidoe", "t.mp4", "o.mp4"), clean),
    Row("camera that is not there", "said", (1,), "/dev/video99",
        lambda b: b.run("stream", "--device", "/dev/video99", "--no-window", "--max-frames", "1")),
    Row("network source that is not there", "said without the password", (1,), "***@127.0.0.1",
        lambda b: b.run("stream", "--device", "rtsp://me:secret@127.0.0.1:9/x", "--no-window",
                        "--max-frames", "1")),
    Row("port of the page is taken", "said", (1,), "choose another port", _port_taken),
)  # fmt: skip
