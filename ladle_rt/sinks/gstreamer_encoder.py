"""One of GStreamer's encoders in a process of its own: pictures in, access units out.

    pictures (I420) ──pipe──► fdsrc ► encoder ► matroskamux ► fdsink ──pipe──► PyAV, packets

Only compression happens there. Containers, sound, tags and times stay PyAV's, alike for every
encoder: a packet comes back with the number of its picture, whatever the rate of the pictures. A
hardware encoder that hangs or crashes takes its process with it and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ladle_rt.errors import OutputError
from ladle_rt.sinks.gstreamer_elements import ELEMENTS, LAUNCHER, Settings, last_words

LIMIT_S = 30.0
"""Longest wait for a picture to be taken, GStreamer's start included, and for the end."""
FASTEST = 400
"""Pictures per second that times in milliseconds still tell apart."""
SEEN_AT_ONCE = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}
"""Nothing is looked at ahead: what the stream is stands in its header."""


def pipeline(
    element: str,
    width: int,
    height: int,
    rate: Fraction,
    aspect: Fraction,
    key_frame_every: int,
    output: int,
) -> str:
    """What GStreamer is to run.

    Args:
        element: of `ELEMENTS`.
        width: pixels, even.
        height: pixels, even.
        rate: pictures per second; for the rate control, and to number them.
        aspect: width over height of a pixel.
        key_frame_every: pictures.
        output: the file descriptor to write to.
    """
    luma, half = width * height, width // 2
    size = luma * 3 // 2
    # The planes lie close; GStreamer would else expect lines of a multiple of four bytes.
    return (
        f"fdsrc fd=0 blocksize={size} ! "
        f"rawvideoparse format=i420 width={width} height={height} "
        f"framerate={rate.numerator}/{rate.denominator} frame-size={size} "
        f"pixel-aspect-ratio={aspect.numerator}/{aspect.denominator} "
        f"plane-strides=<{width},{half},{half}> plane-offsets=<0,{luma},{luma + luma // 4}> ! "
        f"{ELEMENTS[element](Settings.of(width, height, rate, key_frame_every))} ! "
        f"matroskamux streamable=true ! fdsink fd={output}"
    )


class GStreamerEncoder:
    """An encoder at work.

    Args:
        element: of `ELEMENTS`, usable here.
        width: pixels, even.
        height: pixels, even.
        rate: average pictures per second.
        aspect: width over height of a pixel.
        key_frame_every: pictures.
        patience_s: how long a picture's own packet is waited for before the next picture is.

    Raises:
        OutputError: it does not start.
    """

    def __init__(
        self,
        element: str,
        width: int,
        height: int,
        rate: Fraction,
        aspect: Fraction,
        key_frame_every: int,
        patience_s: float = 0.0,
    ) -> None:
        self._element, self._shape = element, (height * 3 // 2, width)
        self._rate = min(rate, Fraction(FASTEST)).limit_denominator(1001)
        self._patience_s = patience_s
        self._given = self._taken = 0
        self._found: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stream: Any = None
        self._container: Any = None
        """Open as long as we are: packets and stream are parts of it."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        ours, theirs = os.pipe()
        self._file = os.fdopen(ours, "rb", buffering=0)
        text = pipeline(element, width, height, self._rate, aspect, key_frame_every, theirs)
        try:
            # NVIDIA's elements write to standard output, so the pictures take another way.
            self._process = subprocess.Popen(
                [LAUNCHER, "-q", *text.split()],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs],
                start_new_session=True,
            )
        except OSError as error:
            self._file.close()
            self._log.close()
            raise OutputError(f"{LAUNCHER} does not start: {error.strerror or error}") from error
        finally:
            os.close(theirs)
        assert self._process.stdin is not None
        self._input = self._process.stdin
        os.set_blocking(self._input.fileno(), False)
        self._reader = threading.Thread(target=self._read, name="gstreamer encoder", daemon=True)
        self._reader.start()

    @property
    def stream(self) -> Any:
        """PyAV's input stream that packets belong to; there once one has come."""
        return self._stream

    def encode(self, planes: npt.NDArray[np.uint8]) -> Iterator[tuple[int, Any]]:
        """Give one picture; what is ready by now.

        Args:
            planes: I420, ``height * 3 // 2`` rows of ``width`` bytes.

        Returns:
            Packets, each behind the number of its picture, from 0.

        Raises:
            OutputError: the encoder failed, or has not taken the picture in `LIMIT_S`.
        """
        assert planes.shape == self._shape
        rest = np.ascontiguousarray(planes).data.cast("B")
        end_s = time.monotonic() + LIMIT_S
        while rest:
            _, ready, _ = select.select([], [self._input], [], max(0.0, end_s - time.monotonic()))
            if not ready:
                raise self._failure(f"no picture taken for {LIMIT_S:.0f} s")
            try:
                rest = rest[os.write(self._input.fileno(), rest) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._failure("it ended") from None
        self._given += 1
        return self._ready(self._patience_s)

    def finish(self) -> Iterator[tuple[int, Any]]:
        """The last packets; nothing may be given any more.

        Raises:
            OutputError: the encoder failed, or has lost pictures.
        """
        self._input.close()
        self._reader.join(LIMIT_S)
        if self._reader.is_alive():
            raise self._failure(f"no end within {LIMIT_S:.0f} s")
        yield from self._ready()
        if self._taken != self._given:
            raise self._failure(f"{self._taken} of {self._given} pictures came back")
        self.close()

    def close(self) -> None:
        """End the process; calling it twice is harmless."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        self._reader.join(LIMIT_S)
        container, self._container = self._container, None
        if container is not None:
            container.close()
        self._file.close()
        self._log.close()

    def _ready(self, wait_s: float = 0.0) -> Iterator[tuple[int, Any]]:
        end_s = time.monotonic() + wait_s
        while True:
            left_s = end_s - time.monotonic() if self._taken < self._given else 0.0
            try:
                packet = self._found.get(left_s > 0, max(left_s, 0.0))
            except queue.Empty:
                return
            self._taken += 1
            yield round(packet.pts * packet.time_base * self._rate), packet

    def _read(self) -> None:
        """Until the process ends or is ended; in a thread of its own."""
        # What is wrong then is said by the process, or by what is missing at the end.
        with contextlib.suppress(av.FFmpegError):
            self._container = av.open(self._file, format="matroska", options=SEEN_AT_ONCE)
            self._stream = self._container.streams.video[0]
            for packet in self._container.demux(self._stream):
                if packet.size:
                    self._found.put(packet)

    def _failure(self, what: str) -> OutputError:
        """One line; the process is gone afterwards."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._log.seek(0)
        words = last_words(self._log.read().decode(errors="replace"))
        self.close()
        return OutputError(
            f"GStreamer's encoder {self._element} failed: {what}{f' ({words})' if words else ''}; "
            "take another --codec"
        )
