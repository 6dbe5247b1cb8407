"""Recordings that warm up slowly, workers without processes, and archives made of both."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ladle_rt.archive.archive_report import Report
from ladle_rt.archive.run_archive import ArchiveJob, run_archive
from ladle_rt.archive.shipped_model import ShippedModel
from ladle_rt.archive.tasks import Ends, Event, RunTask, Task
from ladle_rt.archive.work import work
from ladle_rt.config import TranslateOptions, VideoEncoding

RATE = 10
"""Frames a second of recordings."""
QUICK = TranslateOptions(encoding=VideoEncoding(preset="ultrafast"), steady=0, threads=1)


def write_recording(
    path: Path,
    frames: int = 60,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    pix_fmt: str = "gray",
    times: Sequence[int] | None = None,
    sound: bool = False,
) -> Path:
    """A still scene with sensor noise, something hot that passes, and levels that drift."""
    noise = np.random.default_rng(5)
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    scene = 60 + 50 * np.sin(columns / 9) * np.cos(rows / 7)
    base = Fraction(1, 1000)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "north gate"
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = base
        if codec == "libx264":
            stream.codec_context.options = {"crf": "10", "preset": "ultrafast", "g": "25"}
        tone: Any = None
        if sound:
            tone = container.add_stream("aac", rate=8000)
            tone.layout = "mono"
        for number in range(frames):
            picture = scene + 40 * np.sin(number / 40) + noise.normal(0, 3, scene.shape)
            left = number * 2 % width
            picture[20:36, left : left + 12] += 80
            image = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), "gray")
            image.pts = number * 1000 // RATE if times is None else times[number]
            image.time_base = base
            container.mux(stream.encode(image.reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
        if tone is not None:
            for start in range(0, frames * 8000 // RATE, 1024):
                wave = np.sin((start + np.arange(1024)) / 3)[None].astype(np.float32)
                block = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
                block.rate, block.pts, block.time_base = 8000, start, Fraction(1, 8000)
                container.mux(tone.encode(block))
            container.mux(tone.encode(None))
    return path


class InlineWorkers:
    """`Workers` that do a task when they are asked what has happened."""

    threads = 1

    def __init__(
        self,
        model: ShippedModel,
        count: int = 2,
        meddle: Callable[[Task, Event], Event] = lambda task, event: event,
    ) -> None:
        self.count = count
        self.runs: list[tuple[int, int]] = []
        self._model, self._meddle = model, meddle
        self._waiting: deque[tuple[int, Task]] = deque()

    def has_room(self) -> bool:
        return len(self._waiting) < self.count

    def submit(self, ticket: int, task: Task) -> None:
        self._waiting.append((ticket, task))
        if isinstance(task, RunTask):
            self.runs.append((task.first, task.last))

    def poll(self, timeout_s: float) -> Sequence[tuple[int, Event]]:
        ticket, task = self._waiting.popleft()
        events = []
        for event in work(task, self._model):
            changed = self._meddle(task, event)
            events.append((ticket, changed))
            if isinstance(changed, Ends):
                break
        return events

    def close(self) -> None:
        self._waiting.clear()


class Lab:
    """Recordings in ``in``, their videos in ``out``, and `InlineWorkers` that translate them."""

    def __init__(self, folder: Path, model: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.model, self._patch = folder, model, patch
        self.made: list[InlineWorkers] = []
        """Workers of all runs since they were last chosen."""
        self.workers()

    def workers(self, **settings: Any) -> None:
        """What `InlineWorkers` of the following runs are made with."""
        made: list[InlineWorkers] = []

        def make(count: int, threads: int, model: ShippedModel) -> InlineWorkers:
            made.append(InlineWorkers(model, **settings))
            return made[-1]

        self.made = made
        self._patch.setattr("ladle_rt.archive.run_archive.LocalWorkers", make)

    def record(self, name: str = "a.mkv", frames: int = 60, **settings: Any) -> Path:
        """Make a recording; see `write_recording`."""
        return write_recording(self.folder / "in" / name, frames, **settings)

    def job(self, **settings: Any) -> ArchiveJob:
        """Of everything, in segments of two seconds, as fast as it goes."""
        chosen = {"options": QUICK, "segment_s": 2, **settings}
        sources = chosen.pop("sources", (str(self.folder / "in"),))
        target = chosen.pop("target", str(self.out))
        return ArchiveJob(sources, target, self.model, **chosen)

    def run(self, **settings: Any) -> Report:
        """Do the job."""
        return run_archive(self.job(**settings))

    @property
    def out(self) -> Path:
        """Folder of the videos."""
        return self.folder / "out"
