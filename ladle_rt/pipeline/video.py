"""One video file in, one video file out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ladle_rt.errors import ConfigError
from ladle_rt.pipeline.run import run
from ladle_rt.pipeline.statistics import RunStatistics
from ladle_rt.sinks.atomic import check_target
from ladle_rt.sinks.audio import AudioPlan
from ladle_rt.sinks.encoding import VideoEncoding
from ladle_rt.sinks.video import VideoSink
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.folder import FolderSource, is_sequence
from ladle_rt.sources.video import VideoSource
from ladle_rt.thermal.reading import ReadOptions

if TYPE_CHECKING:
    from ladle_rt.translate.base import Translator


@dataclass(frozen=True, slots=True)
class VideoJob:
    """What to translate and where to put it."""

    input: Path
    """A thermal video file, a folder or a numbered pattern of images, or a stack of them."""
    output: Path
    """The video file to write; its extension chooses the container."""
    start_s: float = 0.0
    """Skip so many seconds of the input."""
    duration_s: float | None = None
    """Translate so many seconds; ``None`` up to the end."""
    encoding: VideoEncoding = field(default_factory=VideoEncoding)
    """How the output is compressed."""
    overwrite: bool = False
    """Whether an existing output may be replaced."""
    allow_colour: bool = False
    """Take the luminance of a coloured input instead of refusing it."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """What the input holds."""
    fps: float | None = None
    """Frames per second of a folder, a pattern or a stack, which do not say; 25."""

    def __post_init__(self) -> None:
        if not self.start_s >= 0:
            raise ConfigError(f"start must be >= 0 seconds, received {self.start_s:g}")
        if self.duration_s is not None and not self.duration_s > 0:
            raise ConfigError(f"duration must be > 0 seconds, received {self.duration_s:g}")


@dataclass(frozen=True, slots=True)
class VideoResult:
    """What a job did."""

    output: Path | None
    """The file that was written; ``None`` when stopped before the first frame."""
    statistics: RunStatistics
    """Where every frame went."""


def translate_video(
    job: VideoJob,
    make_translator: Callable[[tuple[int, int]], Translator],
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[RunStatistics, int | None], None] | None = None,
) -> VideoResult:
    """Translate a video file; the output appears whole or not at all.

    Everything that can be refused is refused before the translator is made.

    Args:
        job: what to do.
        make_translator: makes the engine for frames of a height and width; its pictures must
            be ``yuv420p`` with even sides. It is closed at the end.
        stop: when set, the frames so far become a shorter, whole file.
        on_progress: told after each translated frame, every tenth of a second while none comes,
            and at the end, where the frames are and how many are expected, where the input says.

    Raises:
        LadleError: input, output or settings that cannot be used; see `ladle_rt.errors`.
        PartialResultError: the input is damaged; what could be read has been written.
    """
    stop = stop or threading.Event()
    check_target(job.output, overwrite=job.overwrite, inputs=[job.input])
    with _open(job) as source:
        sink = VideoSink(
            job.output,
            job.encoding,
            rate=source.info.rate,
            time_base=source.info.time_base,
            sample_aspect_ratio=source.info.sample_aspect_ratio,
            audio_from=_audio_plan(job, source) if isinstance(source, VideoSource) else None,
            overwrite=job.overwrite,
            stop=stop,
        )
        expected = source.info.frames
        told = None if on_progress is None else lambda counts: on_progress(counts, expected)
        with make_translator((source.info.height, source.info.width)) as translator:
            statistics = run(source, translator, sink, stop=stop, on_progress=told)
        if told is not None:
            told(statistics)
    return VideoResult(job.output if statistics.presented else None, statistics)


def _open(job: VideoJob) -> VideoSource | FolderSource:
    if not is_sequence(job.input):
        return VideoSource(job.input, job.start_s, job.duration_s, job.allow_colour, job.read)
    options = SourceOptions(fps=job.fps, allow_colour=job.allow_colour, read=job.read)
    return FolderSource(job.input, options, job.start_s, job.duration_s)


def _audio_plan(job: VideoJob, source: VideoSource) -> AudioPlan:
    return AudioPlan(
        path=job.input,
        origin_s=source.origin_s,
        begin_s=Fraction(0) if job.start_s > 0 else None,
        end_s=source.end_s,
    )
