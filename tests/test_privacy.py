"""No command opens a socket that it was not asked for, and nobody is told of its use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.pipeline.sample import write_sample
from ladle_rt.sources.synthetic_source import DriveOptions

AUDITED = """
import sys
def hook(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        # Processes of one command (torch's loaders) talk through names of files, family 1.
        if arguments and getattr(arguments[0], "family", None) == 1:
            return
        print("opened", event, arguments, file=sys.stderr)
    # asyncio's own pair of sockets stays inside the process.
    if event == "socket.__new__" and arguments[1] != 1:
        print("opened", event, arguments, file=sys.stderr)
sys.addaudithook(hook)
from ladle_rt.cli import main
main()
"""
"""Says on stderr what Python code does with sockets other than those within one machine."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture and a clip, and an empty home beside them."""
    (tmp_path / "home").mkdir()
    thermal = np.random.default_rng(0).integers(0, 255, (6, 8), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "t.png"), cv2.resize(thermal, (96, 64)))
    return tmp_path


def write_pairs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("ir", "vi"):
        (folder / kind).mkdir(parents=True)
        for number in range(4):
            picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (260, 200))
            cv2.imwrite(str(folder / kind / f"{number}.png"), picture)


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY",)}
    home = str(folder / "home")
    return kept | {"HOME": home, "XDG_CACHE_HOME": f"{home}/.cache", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "out.mp4", "--seconds", "0.2", "--size", "96x64"],
        ["sources"],
        ["doctor"],
        ["image", "t.png", "-o", "painted"],
        ["stream", "--device", "synthetic", "--max-frames", "3", "--output", "out.mkv"],
        ["models"],
        ["video", "t.mp4", "painted.mp4"],
        ["build-engine"],
        pytest.param(["evaluate", "--data", "pairs", "--limit", "2"], marks=pytest.mark.slow),
        pytest.param(
            [
                "train",
                "--data",
                "pairs",
                "--preset",
                "nano",
                "--alpha",
                "0",
                "--steps",
                "2",
                "--batch",
                "2",
                "--workers",
                "1",
                "--device",
                "cpu",
                "-o",
                "run",
            ],
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda words: words[0],
)
def test_python_opens_no_socket(folder: Path, tiny_model: Path, words: list[str]) -> None:
    if words[0] in ("image", "stream", "video"):
        words = [*words, "--model", str(tiny_model), "--backend", "onnxruntime"]
    if words[0] == "video":
        write_sample(folder / "t.mp4", DriveOptions(96, 64, 30, 0.2))
    if words[0] in ("evaluate", "train"):
        write_pairs(folder / "pairs")
    done = subprocess.run(
        [sys.executable, "-c", AUDITED, *words],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    # Without a GPU no engine can be built, and doctor may miss something.
    assert done.returncode == 0 or words[0] in ("doctor", "build-engine"), done.stderr
    assert "Traceback" not in done.stderr
    assert "opened socket" not in done.stderr
    # Where telemetry is on, ONNX Runtime leaves an id of the device and a queue of events.
    assert not list((folder / "home").rglob("*onnxruntime*"))


def test_the_audit_sees_a_socket() -> None:
    opens = "import socket; socket.create_server(('127.0.0.1', 0))\n"
    done = subprocess.run(
        [sys.executable, "-c", AUDITED.replace("main()\n", opens)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "opened socket.bind" in done.stderr


def test_the_system_sees_no_connection(folder: Path, tiny_model: Path) -> None:
    """Native code too, which Python's audit does not see."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("strace is not here, or may not trace")
    log = folder / "calls.txt"
    image = ["image", "t.png", "-o", "painted", "--model", str(tiny_model)]
    traced = [strace, "-f", "-qq", "-e", "trace=socket,connect,bind", "-o", str(log)]
    subprocess.run(
        [*traced, sys.executable, "-m", "ladle_rt", *image, "--backend", "onnxruntime"],
        cwd=folder,
        env=environment(folder),
        check=True,
        timeout=240,
    )
    assert (folder / "painted" / "t.png").is_file()
    calls = log.read_text()
    assert not re.findall(r"AF_INET6?|AF_PACKET|\bconnect\(", calls), calls
