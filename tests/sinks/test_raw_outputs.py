"""Pipe, shared memory, folder and the choice of outputs."""

from __future__ import annotations

import errno
import os
import secrets
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ladle_rt.errors import OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.recording.recording_sink import RecordingSink
from ladle_rt.sinks import shared_memory_sink
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.folder_sink import FolderSink
from ladle_rt.sinks.null_sink import NullSink
from ladle_rt.sinks.picture_header import HEADER
from ladle_rt.sinks.pipe_sink import PipeSink
from ladle_rt.sinks.select import open_sinks
from ladle_rt.sinks.shared_memory_sink import SharedMemorySink
from ladle_rt.sinks.sink_thread import SinkThread
from ladle_rt.sinks.video_sink import VideoSink

CONTEXT = SinkContext(32, 24, Fraction(30), Fraction(1, 1000))


def translated(number: int, width: int = 32) -> TranslatedFrame:
    data = np.full((36, width), 128, np.uint8)
    data[:24] = number % 200 + 16
    frame = Frame(np.zeros((24, 32), np.uint8), number, 1000 + number, number, Fraction(1, 1000))
    return TranslatedFrame(frame, Picture("yuv420p", data, width, 24))


def check(header: bytes, pixels: bytes) -> int:
    """Header and pixels belong together; the sequence."""
    magic, size, kind, width, height, length, _, sequence, captured_ns, time_ns = HEADER.unpack(
        header
    )
    assert (magic, size, kind, width, height) == (b"LRT1", 48, 0, 32, 24)
    assert length == len(pixels) == 32 * 36
    assert captured_ns == 1000 + sequence and time_ns == sequence * 1_000_000
    assert set(pixels[: 32 * 24]) == {sequence % 200 + 16}
    return int(sequence)


def test_a_pipe_gives_whole_pictures(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    sink = PipeSink(path)
    found: list[int] = []
    enough = threading.Event()

    def read() -> None:
        with path.open("rb") as pipe:
            while len(header := pipe.read(HEADER.size)) == HEADER.size:
                found.append(check(header, pipe.read(32 * 36)))
                if len(found) == 20:
                    enough.set()

    reader = threading.Thread(target=read)
    reader.start()
    number = 0
    while not enough.wait(0.002):
        sink.write(translated(number))
        number += 1
    sink.close()
    reader.join(5)
    assert found == sorted(set(found)) and len(found) >= 20
    assert not path.exists()


def test_nobody_reads_the_pipe_and_nobody_waits(tmp_path: Path) -> None:
    sink = PipeSink(tmp_path / "pipe")
    for number in range(1000):
        sink.write(translated(number))
    assert sink.skipped[f"{tmp_path}/pipe"] >= 998
    sink.close()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="found a file"):
        PipeSink(tmp_path / "file")


def test_a_pipe_that_breaks_for_good_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    sink = PipeSink(tmp_path / "pipe")
    monkeypatch.setattr(sink, "_push", fail)
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    def write_on() -> None:
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            sink.write(translated(0))
            time.sleep(0.005)

    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write_on()
    finally:
        os.close(reader)
        sink.abort()


def test_an_untold_death_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def serve() -> None:
        raise TypeError("bug")

    SinkThread(serve, "page").join(20)
    assert "page: bug" in caplog.text and "Traceback" in caplog.text


READER = """
import struct, sys
from ladle_rt.sinks.picture_header import HEADER
from ladle_rt.sinks.shared_memory_sink import read_newest
print("ready" if read_newest(sys.argv[1]) is None else "too early", flush=True)
last = -1
while last < 500:
    found = read_newest(sys.argv[1])
    if found is not None:
        header, pixels = found
        *_, sequence, captured_ns, time_ns = HEADER.unpack(header)
        assert sequence >= last and captured_ns == 1000 + sequence
        assert set(pixels[: 32 * 24]) == {sequence % 200 + 16}, "a torn picture"
        last = sequence
print("fine", flush=True)
"""


def test_another_process_reads_shared_memory() -> None:
    name = f"ladle-{secrets.token_hex(4)}"
    sink = SharedMemorySink(name, CONTEXT)
    try:
        with pytest.raises(OutputError, match="choose another name"):
            SharedMemorySink(name, CONTEXT)
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, name],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        number = 0
        while reader.poll() is None and number < 50_000_000:
            sink.write(translated(min(number, 600)))
            number += 1
        assert reader.stdout.read() == "fine\n"
        with pytest.raises(OutputError, match="larger than the first"):
            sink.write(translated(1, width=640))
    finally:
        sink.close()
    sink.close()
    assert not os.path.exists(f"/dev/shm/{name}")


def test_a_barrier_lies_between_any_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without, ARM may show a picture's end before its lock; no x86 would ever show that."""
    steps: list[str] = []

    def noted(name: str) -> None:
        real = getattr(shared_memory_sink, name)
        monkeypatch.setattr(
            shared_memory_sink, name, lambda *args: (steps.append(name), real(*args))[1]
        )

    class Noting:
        def __init__(self, memory: Any) -> None:
            self.buf, self._memory = self, memory

        def __getitem__(self, key: slice) -> memoryview:
            return self._memory.buf[key]

        def __setitem__(self, key: slice, data: bytes) -> None:
            steps.append("pixels")
            self._memory.buf[key] = data

    name = f"ladle-{secrets.token_hex(4)}"
    sink = SharedMemorySink(name, CONTEXT)
    try:
        noted("_store")
        noted("_load")
        monkeypatch.setattr(shared_memory_sink.Fence, "__call__", lambda self: steps.append("|"))
        memory = sink._memory
        monkeypatch.setattr(sink, "_memory", Noting(memory))
        sink.write(translated(1))
        assert steps == ["_store", "|", "pixels", "|", "_store", "|", "_store"]
        steps.clear()
        found = shared_memory_sink.read_newest(name)
        assert found is not None and set(found[1][: 32 * 24]) == {17}
        assert steps == ["_load", "|", "_load", "|", "|", "_load"]
        monkeypatch.setattr(sink, "_memory", memory)
    finally:
        sink.close()


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    sink = FolderSink(folder, CONTEXT)
    for number in (3, 7):
        sink.write(translated(number))
    sink.close()
    assert sorted(path.name for path in folder.iterdir()) == ["00000003.png", "00000007.png"]
    image = cv2.imread(str(folder / "00000007.png"))
    # Y of 23: (23 - 16) / 219 of white.
    assert image.shape == (24, 32, 3) and abs(int(image[0, 0, 1]) - 8) <= 1
    with pytest.raises(OutputError, match="already holds pictures"):
        FolderSink(folder, CONTEXT)


def test_outputs_by_name(tmp_path: Path) -> None:
    specs = [
        f"{tmp_path}/a.mkv", f"{tmp_path}/b.MP4", f"{tmp_path}/c.lrec", f"recording:{tmp_path}/d",
        f"{tmp_path}/folder/", f"pipe:{tmp_path}/pipe", "null", "null",
    ]  # fmt: skip
    sinks = open_sinks(specs, CONTEXT)
    try:
        kinds = [VideoSink] * 2 + [RecordingSink] * 2 + [FolderSink, PipeSink, NullSink, NullSink]
        assert [type(sink) for sink in sinks] == kinds
    finally:
        for sink in sinks:
            sink.abort()


def test_refused_outputs(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for specs, said in (
        ([f"{tmp_path}/a.mkv", f"{tmp_path}/link/a.mkv"], "two outputs on one place"),
        (["udp://h:1", "udp://h:1"], "two outputs on one place"),
        (["ftp://user:pa55@h/a.mkv"], "not an output; expected one of"),
        ([f"{tmp_path}/a.gif"], "not an output"),
        ([f"{tmp_path}/none/a.mkv"], "does not exist"),
        (["v4l2:/dev/video98"], "modprobe v4l2loopback"),
        (["v4l2:/dev/null"], "expected a v4l2loopback device"),
    ):
        with pytest.raises(OutputError, match=said) as caught:
            open_sinks(specs, CONTEXT)
        assert "pa55" not in str(caught.value)


def test_one_refusal_closes_the_others(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        open_sinks([f"pipe:{tmp_path}/pipe", f"{tmp_path}/a.gif"], CONTEXT)
    assert list(tmp_path.iterdir()) == []
