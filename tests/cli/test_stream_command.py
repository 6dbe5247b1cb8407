"""The command itself, in processes of its own: what a person types, sees and gets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from clips import frame_count

from ladle_rt.cli import stream_command
from ladle_rt.errors import LadleError

ROOT = Path(__file__).resolve().parents[2]
HEADLESS = {
    key: value
    for key, value in os.environ.items()
    if key not in ("DISPLAY", "WAYLAND_DISPLAY", "LADLE_RT_TOKEN")
} | {"PYTHONPATH": str(ROOT)}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "ladle_rt", *map(str, arguments)]


def ladle(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=HEADLESS,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    done = ladle("sample", "t.mp4", "--seconds", "1", "--size", "128x160", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "t.mp4"


def test_a_file_to_a_file_with_figures_and_trace(
    clip: Path, tiny_model: Path, tmp_path: Path
) -> None:
    done = ladle(
        "stream", "--device", clip, "--model", tiny_model, "--output", "out.mkv",
        "--stats", "s.jsonl", "--trace", "t.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = rows(tmp_path / "s.jsonl")[-1]
    assert (last["captured"], last["presented"], last["in_flight"]) == (30, 30, 0)
    assert last["dropped"] == {} and last["state"] == "ended"
    assert set(last["latency_ms"]) == {"p50", "p90", "p95", "p99"}
    assert 0 < last["latency_ms"]["p50"] <= last["latency_ms"]["p99"]
    assert frame_count(tmp_path / "out.mkv") == 30
    events = json.loads((tmp_path / "t.json").read_text())
    assert sum(event["ph"] == "X" for event in events) == 4 * 30
    assert "30 of 30 frames presented" in done.stderr


def test_the_newest_frames_of_a_pattern_that_is_too_fast(tiny_model: Path, tmp_path: Path) -> None:
    done = ladle(
        "stream", "--device", "synthetic:160x128@400", "--model", tiny_model,
        "--max-frames", "300", "--output", "out.mkv", "--output", "null",
        "--stats", "s.jsonl", "--steady", "0.5", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = rows(tmp_path / "s.jsonl")[-1]
    assert last["captured"] == 300 and last["in_flight"] == 0
    assert last["captured"] == last["presented"] + sum(last["dropped"].values())
    assert frame_count(tmp_path / "out.mkv") == last["presented"] > 0


def test_loop_and_realtime(clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    begin_s = time.monotonic()
    done = ladle(
        "stream", "--device", clip, "--loop", "--realtime", "--model", tiny_model,
        "--max-frames", "45", "--output", "null", "--stats", "s.jsonl", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "s.jsonl")[-1]["captured"] == 45
    assert time.monotonic() - begin_s > 44 / 30


def test_a_signal_ends_it_in_an_orderly_way(clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The other signals come the same way: tests/pipeline/test_interrupt.py."""
    stats = tmp_path / "s.jsonl"
    process = subprocess.Popen(
        command(
            "stream", "--device", clip, "--loop", "--realtime", "--model", tiny_model,
            "--output", "out.mkv", "--stats", stats,
        ),
        cwd=tmp_path,
        env=HEADLESS,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        limit_s = time.monotonic() + 60
        while not (stats.exists() and any(row["presented"] > 5 for row in rows(stats))):
            assert process.poll() is None and time.monotonic() < limit_s
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    last = rows(stats)[-1]
    assert last["captured"] == last["presented"] + sum(last["dropped"].values())
    assert frame_count(tmp_path / "out.mkv") == last["presented"]


def refused(cwd: Path, *arguments: str | Path) -> str:
    """What is said on standard error: one line, no traceback, exit code 1 or 2."""
    done = ladle("stream", *arguments, cwd=cwd)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode == 1:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_bad_input_is_one_line(clip: Path, tmp_path: Path) -> None:
    null = ("--output", "null")
    assert "no such device" in refused(tmp_path, "--device", "/dev/video97", *null)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refused(tmp_path, "--device", clip, "--preview", port)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--device nothing.mp4 --output null", "no such file"),
        ("--device gopher://x/y --output null", "gopher"),
        ("--device gopher://x/y --output null", "rtsp"),
        ("--output a.mkv --output ./a.mkv", "a.mkv"),
        ("--output no/where/a.mkv", "does not exist"),
        ("", "--preview"),
        ("--window", "display"),
        ("--agc magic --output null", "percentile"),
        ("--policy newest --output null", "--policy"),
        ("--max-frames 0 --output null", "--max-frames"),
        ("--palette mauve --output null", "palette"),
        ("--width 640 --output null", "width and height"),
    ],
)
def test_bad_words_are_one_line(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    """In this process: what the shell shows of an error is the same for all of them."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    device = [] if "--device" in words else ["--device", str(clip)]
    result = CliRunner().invoke(stream_command.command, [*device, *words.split()])
    if isinstance(result.exception, LadleError):
        assert said in str(result.exception) and "\n" not in str(result.exception)
    else:
        assert result.exit_code == 2 and said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_credentials_never_show(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"rtsp://user:s3cret@127.0.0.1:{port}/x"
    said = refused(tmp_path, "--device", url, "--output", "null", "--timeout", "2")
    assert "s3cret" not in said and "127.0.0.1" in said


def test_a_latency_budget_makes_the_network_smaller(
    clip: Path, tiny_model: Path, tmp_path: Path
) -> None:
    done = ladle(
        "stream", "--device", clip, "--loop", "--realtime", "--model", tiny_model,
        "--latency-budget", "0.1", "--max-frames", "90", "--output", "null", "--stats", "s.jsonl",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sizes = [row["network_size"] for row in rows(tmp_path / "s.jsonl")]
    assert sizes[-1][0] * sizes[-1][1] < 64 * 96
    assert "network at 64x64" in done.stderr and "budget 0.1 ms" in done.stderr


def test_what_does_not_change_is_shown_again(tiny_model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "still").mkdir()
    for number in range(12):
        scene = np.tile(np.linspace(20, 220, 160), (120, 1)) + rng.normal(0, 1, (120, 160))
        cv2.imwrite(str(tmp_path / "still" / f"{number}.png"), scene.astype(np.uint8))
    done = ladle(
        "stream", "--device", "still", "--model", tiny_model, "--skip-unchanged", "--output",
        "out.mkv", "--output", "raw.lrec", "--stats", "s.jsonl", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = rows(tmp_path / "s.jsonl")[-1]
    assert (last["presented"], last["held"]) == (12, 11)
    assert frame_count(tmp_path / "out.mkv") == 12
    # What was recorded raw is replayed as a source, by its extension.
    done = ladle(
        "stream", "--device", "raw.lrec", "--model", tiny_model, "--agc", "fixed:20:220",
        "--dead-pixels", "--stripes", "--output", "again/", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "again").glob("*.png"))) == 12
