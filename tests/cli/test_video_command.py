from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from click.testing import CliRunner
from clips import write_ramp

from ladle_rt.cli.video_command import command
from ladle_rt.errors import InputNotFoundError, OutputError


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_ramp(tmp_path / "in.mp4", 12)


def frames_of(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        yield from container.decode(container.streams.video[0])


def test_a_video_becomes_a_video(clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    target = tmp_path / "out.mp4"
    result = CliRunner().invoke(
        command,
        [str(clip), str(target), "--model", str(tiny_model)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{target}: 12 frames in ")
    assert result.stderr == ""
    assert [(frame.width, frame.height) for frame in frames_of(target)] == [(64, 48)] * 12


def test_options_reach_the_job(clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    target = tmp_path / "out.mkv"
    flags = "--layout side-by-side --mark --codec h264 --crf 30 --preset ultrafast --size 96x64"
    part = "--start 0.2 --duration 0.2 --threads 1 --overwrite"
    target.touch()
    result = CliRunner().invoke(
        command,
        [
            str(clip),
            str(target),
            "--model",
            str(tiny_model),
            *flags.split(),
            *part.split(),
        ],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    assert [(frame.width, frame.height) for frame in frames_of(target)] == [(128, 48)] * 5


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--size 0x64", "WIDTHxHEIGHT"),
        ("--size wide", "WIDTHxHEIGHT"),
        ("--start 1:75", "HH:MM:SS"),
        ("--duration soon", "HH:MM:SS"),
        ("--crf 64", "crf"),
        ("--threads 0", "threads"),
        ("--layout mosaic", "layout"),
    ],
)
def test_bad_values_are_usage_errors(flags: str, message: str) -> None:
    result = CliRunner().invoke(command, ["in.mp4", "out.mp4", *flags.split()])
    assert result.exit_code == 2
    assert message in result.stderr


def test_errors_are_the_packages_own(clip: Path, tmp_path: Path) -> None:
    missing = CliRunner().invoke(command, [str(tmp_path / "no.mp4"), str(tmp_path / "out.mp4")])
    assert isinstance(missing.exception, InputNotFoundError)
    same = CliRunner().invoke(command, [str(clip), str(clip), "--overwrite"])
    assert isinstance(same.exception, OutputError)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_signal_leaves_a_whole_shorter_file(tmp_path: Path, tiny_model: Path) -> None:
    """The other signals come the same way: tests/pipeline/test_interrupt.py."""
    source = write_ramp(tmp_path / "long.mp4", 600)
    target = tmp_path / "out.mp4"
    program = (
        "import logging, os, sys\n"
        "from ladle_rt.cli.video_command import command\n"
        "from ladle_rt.sinks.video_sink import VideoSink\n"
        "write = VideoSink.write\n"
        "def tell(self, translated):\n"
        "    write(self, translated)\n"
        "    if translated.frame.sequence == 20:\n"
        "        print('twenty', flush=True)\n"
        "        sys.stdin.read()\n"
        "VideoSink.write = tell\n"
        "command()\n"
    )
    arguments = [
        str(source),
        str(target),
        "--model",
        str(tiny_model),
        "--preset",
        "ultrafast",
    ]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "twenty\n"
        process.send_signal(signal.SIGHUP)
        # It goes on when its input ends: the signal is there before the next frame.
        out, err = process.communicate()
        watchdog.cancel()
    assert process.returncode == 130
    assert "interrupted; the file is whole but shorter" in err
    count = sum(1 for _ in frames_of(target))
    assert 20 < count < 600
    assert f"{count} frames" in out
    assert sorted(path.name for path in tmp_path.glob("*.mp4*")) == [
        "long.mp4",
        "out.mp4",
    ]
