"""How old a picture is when a viewer of the page has it decoded: Motion JPEG, and WebRTC.

    python benchmarks/page_latency.py [--seconds 10] [--output FILE]

WebRTC needs aiortc, which is no dependency: it is left out where it is not installed. Both carry
the same 640x512 pictures at 30 a second over loopback; each picture bears its number in blocks
that survive compression. Turns alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import socket
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fuzz_page import load_preview_test
from helpers import Spread, write_result

from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.preview import open_preview
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.thermal.thermal_view import ThermalView

WIDTH, HEIGHT, FPS, BITS, BLOCK = 640, 512, 30, 12, 40
ROUNDS = 3


def scene() -> np.ndarray:
    """HxW luma with about as much detail as a translated picture."""
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8, WIDTH // 8), dtype=np.uint8)
    return cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def numbered(base: np.ndarray, number: int) -> np.ndarray:
    """YUV 4:2:0, planar, with the number in the upper left, moving a little."""
    data = np.full((HEIGHT * 3 // 2, WIDTH), 118, np.uint8)
    data[:HEIGHT] = np.roll(base, number * 3, axis=1)
    for bit in range(BITS):
        data[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 235 if number >> bit & 1 else 16
    return data


def number_of(luma: np.ndarray) -> int:
    """The number that `numbered` drew."""
    middle = luma[BLOCK // 2, BLOCK // 2 : BITS * BLOCK : BLOCK]
    return sum(1 << bit for bit, value in enumerate(middle) if value > 128)


def motion_jpeg(seconds: float) -> list[float]:
    """Milliseconds from `PreviewSink.write` to a decoded picture."""
    conftest, base = load_preview_test("conftest"), scene()
    figures = conftest.Page.figures
    sink = open_preview("0", None, lambda: ThermalView(ThermalNormalization(), "white-hot"),
                        lambda: figures(_Idle()), conftest.Hands(), lambda text: None)  # fmt: skip
    port = int(sink.urls[0].rpartition(":")[2].strip("/"))
    sent: dict[int, float] = {}
    found: list[float] = []

    def watch() -> None:
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(b"GET /stream/colour.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            data = b""
            while part := one.recv(1 << 18):
                data += part
                while (end := data.find(b"\r\n--frame\r\n")) >= 0:
                    jpeg, data = data[data.find(b"\xff\xd8") : end], data[end + 11 :]
                    if jpeg:
                        luma = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
                        found.append(1e3 * (time.monotonic() - sent[number_of(luma)]))

    viewer = threading.Thread(target=watch, daemon=True)
    viewer.start()
    begin_s = time.monotonic()
    for number in range(int(seconds * FPS)):
        time.sleep(max(0.0, begin_s + number / FPS - time.monotonic()))
        data = numbered(base, number)
        sent[number] = time.monotonic()
        frame = Frame(data[:HEIGHT], number, time.monotonic_ns(), number, None)
        sink.write(TranslatedFrame(frame, Picture("yuv420p", data, WIDTH, HEIGHT)))
    time.sleep(0.5)
    sink.close()
    viewer.join(5)
    return found[FPS:]


class _Idle:
    """As much of the tests' page as its figures need."""

    def __init__(self) -> None:
        self.figures_asked = self.count = 0
        self.answers = threading.Event()
        self.answers.set()
        self.state, self.problem = "running", None


async def webrtc(aiortc: Any, seconds: float) -> list[float]:
    """Milliseconds from a track's picture being asked for to a decoded one."""
    av, base = importlib.import_module("av"), scene()
    sent: dict[int, float] = {}
    found: list[float] = []

    class Track(aiortc.VideoStreamTrack):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.number, self.begin_s = 0, time.monotonic()

        async def recv(self) -> Any:
            ahead_s = self.begin_s + self.number / FPS - time.monotonic()
            await asyncio.sleep(max(0.0, ahead_s))
            data = numbered(base, self.number)
            sent[self.number] = time.monotonic()
            frame = av.VideoFrame.from_ndarray(data, format="yuv420p")
            frame.pts, frame.time_base = self.number * 90_000 // FPS, Fraction(1, 90_000)
            self.number += 1
            return frame

    sender, receiver = aiortc.RTCPeerConnection(), aiortc.RTCPeerConnection()
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    receiver.on("track", arrived.set_result)
    sender.addTrack(Track())
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)
    track = await arrived
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        frame = await asyncio.wait_for(track.recv(), 20)
        luma = frame.to_ndarray(format="gray")
        number = number_of(luma)
        if number in sent:
            found.append(1e3 * (time.monotonic() - sent[number]))
    await sender.close()
    await receiver.close()
    return found[FPS:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    try:
        aiortc: Any = importlib.import_module("aiortc")
    except ImportError:
        aiortc = None
    ages: dict[str, list[list[float]]] = {"motion_jpeg": [], "webrtc": []}
    for _ in range(ROUNDS):
        ages["motion_jpeg"].append(motion_jpeg(options.seconds))
        if aiortc is not None:
            ages["webrtc"].append(asyncio.run(webrtc(aiortc, options.seconds)))
    results = {}
    for name, rounds in ages.items():
        rounds = [one for one in rounds if one]
        for share in (50, 95):
            if rounds:
                spread = Spread.of([float(np.percentile(one, share)) for one in rounds])
                results[f"{name}_p{share}_ms"] = spread.to_list()
                print(f"{name} p{share}: {spread.to_list()} ms of {[len(one) for one in rounds]}")
    if options.output is not None:
        settings = {"seconds": options.seconds, "rounds": ROUNDS, "fps": FPS,
                    "aiortc": getattr(aiortc, "__version__", None),
                    "machine": "shared with other work while this was measured"}  # fmt: skip
        write_result(options.output, "page_latency", settings, results)


if __name__ == "__main__":
    main()
