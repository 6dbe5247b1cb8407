"""A translator without a network, and clips with sound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ladle_rt.errors import BackendError, PipelineError
from ladle_rt.frames import Frame, Picture, TranslatedFrame


class ThreadTranslator:
    """The protocol for real: a thread pool that turns intensities into grey yuv420p."""

    name = "grey (2 workers)"
    network_size = (32, 32)

    def __init__(self, depth: int = 4, work: Callable[[Frame], None] = lambda frame: None) -> None:
        self.depth = depth
        self.most_in_flight = 0
        self.closed = False
        self._work = work
        self._pool = ThreadPoolExecutor(2)
        self._waiting: deque[Future[TranslatedFrame]] = deque()
        self._tickets = 0

    def submit(self, frame: Frame) -> int:
        if self.closed:
            raise BackendError("closed")
        assert len(self._waiting) < self.depth
        self._waiting.append(self._pool.submit(self._translate, frame))
        self.most_in_flight = max(self.most_in_flight, len(self._waiting))
        self._tickets += 1
        return self._tickets - 1

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        if not self._waiting:
            raise PipelineError("nothing in flight")
        return self._waiting.popleft().result(timeout_s)

    def _translate(self, frame: Frame) -> TranslatedFrame:
        self._work(frame)
        height, width = (max(side - side % 2, 2) for side in frame.pixels.shape)
        luma = np.resize(frame.pixels[:height, :width], (height, width))
        if luma.dtype == np.uint16:
            luma = (luma >> 8).astype(np.uint8)
        data = np.full((height * 3 // 2, width), 128, np.uint8)
        data[:height] = luma
        return TranslatedFrame(frame, Picture("yuv420p", data, width, height))

    def close(self) -> None:
        self.closed = True
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> ThreadTranslator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def thread_translator() -> type[ThreadTranslator]:
    return ThreadTranslator


@pytest.fixture
def write_clip(tmp_path: Path) -> Callable[..., Path]:
    """A factory of grey clips, with a sine as sound when ``audio`` names a codec."""

    def write(
        name: str,
        frames: int = 20,
        size: tuple[int, int] = (64, 48),
        pts: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, 12800),
        audio: str | None = None,
        audio_s: float | None = None,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        aspect: Fraction | None = None,
        muxer: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=muxer or {}) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.codec_context.time_base = time_base
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            sound = None if audio is None else container.add_stream(audio, rate=48_000)
            ticks = round(1 / (25 * time_base))
            for index in range(frames):
                grey = np.full((size[1], size[0]), 40 + index % 100, np.uint8)
                grey[:, (index * 5) % size[0] :][:, :6] = 220
                frame = av.VideoFrame.from_ndarray(grey, format="gray")
                frame = frame if pix_fmt == "gray" else frame.reformat(format=pix_fmt)
                frame.pts = index * ticks if pts is None else pts[index]
                frame.time_base = time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if sound is not None:
                wave = np.sin(np.arange(1024) * 0.1).astype(np.float32)[None] * 0.5
                layout = sound.codec_context.format.name
                samples = wave if "flt" in layout else (wave * 20_000).astype(np.int16)
                for index in range(round((audio_s or frames / 25) * 48_000 / 1024)):
                    block = av.AudioFrame.from_ndarray(samples, layout, "mono")
                    block.sample_rate = 48_000
                    block.pts = index * 1024
                    container.mux(sound.encode(block))
                container.mux(sound.encode(None))
        return path

    return write
