"""One video file in, one video file out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ladle_rt.errors import ConfigError, StoppedError
from ladle_rt.files import check_target
from ladle_rt.frame_stats import FrameStats
from ladle_rt.pipeline.run import run
from ladle_rt.sinks.audio import AudioPlan
from ladle_rt.sinks.base import Sink, SinkContext
from ladle_rt.sinks.encoding import VideoEncoding
from ladle_rt.sinks.stdout import MatroskaStdout
from ladle_rt.sinks.video import VideoSink
from ladle_rt.sources.opening import open_patiently
from ladle_rt.sources.pipe_reader import STANDARD, is_pipe
from ladle_rt.sources.video import VideoSource

if TYPE_CHECKING:
    from ladle_rt.translate.base import Translator


@dataclass(frozen=True, slots=True)
class VideoJob:
    """What to translate and where to put it."""

    input: Path
    """A thermal video file, a FIFO, or ``-`` for standard input."""
    output: Path
    """The video file to write; its extension chooses the container. ``-``: Matroska with this
    machine's live encoder, and without sound, to standard output."""
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
    statistics: FrameStats
    """Where every frame went."""


def translate_video(
    job: VideoJob,
    make_translator: Callable[[tuple[int, int]], Translator],
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[FrameStats, int | None], None] | None = None,
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
    if job.output != STANDARD:
        check_target(job.output, overwrite=job.overwrite, inputs=[job.input])

    def open_input() -> VideoSource:
        return VideoSource(job.input, job.start_s, job.duration_s, job.allow_colour)

    try:
        source = open_patiently(open_input, wait=False, stop=stop)
    except StoppedError:
        return VideoResult(None, FrameStats(0, 0, stopped=True))
    with source:
        sink = _sink(job, source, stop)
        expected = source.info.frames
        told = None if on_progress is None else lambda counts: on_progress(counts, expected)
        with make_translator((source.info.height, source.info.width)) as translator:
            statistics = run(source, translator, sink, stop=stop, on_progress=told)
        if told is not None:
            told(statistics)
    return VideoResult(job.output if statistics.presented else None, statistics)


def _sink(job: VideoJob, source: VideoSource, stop: threading.Event) -> Sink:
    info = source.info
    if job.output == STANDARD:
        return MatroskaStdout(
            SinkContext(
                info.width, info.height, info.rate, info.time_base, info.sample_aspect_ratio
            )
        )
    return VideoSink(
        job.output,
        job.encoding,
        rate=info.rate,
        time_base=info.time_base,
        sample_aspect_ratio=info.sample_aspect_ratio,
        audio_from=_audio_plan(job, source),
        overwrite=job.overwrite,
        stop=stop,
    )


def _audio_plan(job: VideoJob, source: VideoSource) -> AudioPlan | None:
    if is_pipe(job.input):
        return None  # It is read once, for its pictures.
    return AudioPlan(
        path=job.input,
        origin_s=source.origin_s,
        begin_s=Fraction(0) if job.start_s > 0 else None,
        end_s=source.end_s,
    )
