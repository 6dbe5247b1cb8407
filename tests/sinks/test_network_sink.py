"""A real receiver, there from the start, killed, and there again."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ladle_rt.addresses import masked
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.network_sink import NetworkSink

TICK = Fraction(1, 1_000_000)
CONTEXT = SinkContext(64, 48, Fraction(30), TICK)


def translated(number: int) -> TranslatedFrame:
    data = np.full((72, 64), 128, np.uint8)
    data[:48] = 16 + number * 5 % 200
    frame = Frame(np.zeros((48, 64), np.uint8), number, 0, number * 33_333, TICK)
    return TranslatedFrame(frame, Picture("yuv420p", data, 64, 48))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Player:
    """Writes pictures like a stream until told to stop."""

    def __init__(self, sink: NetworkSink) -> None:
        self._sink = sink
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        number = 0
        while not self._stop.wait(1 / 60):
            self._sink.write(translated(number))
            number += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)


def receive(url: str, count: int) -> int:
    """So many frames, or as many as came in time."""
    with av.open(url, timeout=(8, 3)) as container:
        return sum(1 for _, _ in zip(range(count), container.decode(video=0), strict=False))


def test_udp_arrives() -> None:
    url = f"udp://127.0.0.1:{free_port()}?pkt_size=1316"
    sink = NetworkSink(url, CONTEXT)
    player = Player(sink)
    try:
        assert receive(url, 30) == 30
    finally:
        player.stop()
        sink.close()


def test_a_receiver_that_comes_late_and_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg is not installed")
    port = free_port()
    url = f"rtsp://anna:s3cret@127.0.0.1:{port}/in"
    listen = [
        ffmpeg, "-loglevel", "error", "-rtsp_flags", "listen", "-i", f"rtsp://127.0.0.1:{port}/in",
        "-c", "copy", "-flush_packets", "1", "-y",
    ]  # fmt: skip
    sink = NetworkSink(url, CONTEXT)
    player = Player(sink)

    def until(condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end_s
            time.sleep(0.05)

    try:
        until(lambda: "cannot be sent to" in caplog.text)
        for name in ("first.ts", "second.ts"):
            path = tmp_path / name
            process = subprocess.Popen([*listen, str(path)], stdin=subprocess.DEVNULL)
            try:
                until(lambda path=path: path.exists() and path.stat().st_size > 8000)
            finally:
                process.kill()
                process.wait(10)
    finally:
        player.stop()
        sink.close()
    # What nobody takes is dropped instead of waited for.
    assert sink.skipped[masked(url)] > 0
    assert "s3cret" not in caplog.text and caplog.text.count("cannot be sent to") <= 3
    with av.open(str(tmp_path / "second.ts")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 3
