"""Real pipes: standard input and output of processes, and a FIFO."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from waiting import wait_for

from ladle_rt.errors import InputError
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.pipe_reader import PipeReader
from ladle_rt.sources.select import open_source
from ladle_rt.sources.video_source import VideoSource

pytestmark = pytest.mark.skipif(os.name == "nt", reason="FIFOs and signals of POSIX")
WAITING = """
import sys
from pathlib import Path
from ladle_rt.pipeline.interrupt import stop_on_signals
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.select import open_source
from ladle_rt.errors import StoppedError
with stop_on_signals() as stop:
    print("opening", flush=True)
    try:
        open_source(sys.argv[1], SourceOptions(), stop=stop)
    except StoppedError:
        print("stopped", flush=True)
"""


def movie(path: Path, frames: int = 12) -> bytes:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for number in range(frames):
            pixels = np.full((48, 64), number * 10, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def y4m(frames: int = 12) -> bytes:
    head = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 Cmono\n"
    return head + b"".join(b"FRAME\n" + bytes([n * 10 % 256]) * (64 * 48) for n in range(frames))


@pytest.mark.parametrize("form", ["mkv", "y4m"])
def test_a_fifo_is_read_once(form: str, tmp_path: Path) -> None:
    data = movie(tmp_path / "in.mkv") if form == "mkv" else y4m()
    fifo = tmp_path / "thermal"
    os.mkfifo(fifo)

    def opened() -> int | None:
        """For writing, which needs a reader that is there first."""
        with contextlib.suppress(OSError):
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        return None

    def write() -> None:
        descriptor = wait_for(opened)
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with open_source(str(fifo), SourceOptions()) as source:
        assert source.info.waits and not source.info.live
        found = [int(frame.pixels[0, 0]) for frame in source]
    writer.join()
    assert found == [number * 10 for number in range(12)]


def test_standard_input(tmp_path: Path) -> None:
    code = (
        "from ladle_rt.sources.select import open_source\n"
        "from ladle_rt.sources.base import SourceOptions\n"
        "print([int(f.pixels[0, 0]) for f in open_source('-', SourceOptions())])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=movie(tmp_path / "in.mkv"),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.decode().strip() == str([number * 10 for number in range(12)])
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"rubbish" * 999, capture_output=True, timeout=60
    )
    assert b"front to back" in done.stderr


def test_closing_ends_a_read_that_waits(tmp_path: Path) -> None:
    fifo = tmp_path / "thermal"
    os.mkfifo(fifo)
    reader = PipeReader(fifo)
    threading.Timer(0.3, reader.stop).start()
    assert reader.read(10) == b""
    reader.close()
    reader.close()


def test_a_writer_that_falls_silent_does_not_hold_up_the_end(tmp_path: Path) -> None:
    fifo = tmp_path / "thermal"
    os.mkfifo(fifo)
    data, go_on = y4m(40), threading.Event()

    def write() -> None:
        with fifo.open("wb") as stream:
            stream.write(data)
            stream.flush()
            go_on.wait(60)

    writer = threading.Thread(target=write)
    writer.start()
    found: list[int] = []
    try:
        source = VideoSource(fifo)
        reading = threading.Thread(target=lambda: found.extend(f.sequence for f in source))
        reading.start()
        end_s = time.monotonic() + 20
        while len(found) < 20 and time.monotonic() < end_s:
            time.sleep(0.05)
        source.close()
        reading.join(5)
        assert not reading.is_alive() and len(found) >= 20
        source.close()
    finally:
        go_on.set()
        writer.join()


def test_ctrl_c_while_nobody_writes(tmp_path: Path) -> None:
    fifo = tmp_path / "thermal"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(fifo)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "opening\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert out == "stopped\n" and process.returncode == 0


def test_what_cannot_be_read_from_a_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "locked"
    os.mkfifo(fifo, 0)
    if os.geteuid():
        with pytest.raises(InputError, match="cannot be read"):
            PipeReader(fifo)
    with pytest.raises(InputError, match="no such file"):
        open_source(str(tmp_path / "nothing"), SourceOptions())
