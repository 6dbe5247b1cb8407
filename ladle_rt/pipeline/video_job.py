"""One video file in, one video file out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import ConfigError, StoppedError
from ladle_rt.files import check_target
from ladle_rt.frame_stats import FrameStats
from ladle_rt.pipeline.processing import Processing, sink_context
from ladle_rt.pipeline.run import run
from ladle_rt.sinks.base import Sink
from ladle_rt.sinks.stdout_sink import MatroskaStdout
from ladle_rt.sinks.video_sink import VideoSink
from ladle_rt.sources.base import Source, SourceInfo, SourceOptions
from ladle_rt.sources.folder_source import FolderSource, is_sequence
from ladle_rt.sources.opening import open_patiently
from ladle_rt.sources.pipe_reader import STANDARD
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.scene_reader import ReadOptions


@dataclass(frozen=True, slots=True)
class VideoJob:
    """What to translate and where to put it."""

    input: Path
    """A thermal video file, a FIFO, or ``-`` for standard input; a folder or a numbered pattern
    of images, or a stack of them."""
    output: Path
    """The video file to write; its extension chooses the container. ``-``: Matroska with this
    machine's live encoder, and without sound, to standard output."""
    options: TranslateOptions = field(default_factory=TranslateOptions)
    """What happens to the frames, which part of them is taken, and how they are compressed."""
    overwrite: bool = False
    """Whether an existing output may be replaced."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """What the input holds."""
    fps: float | None = None
    """Frames per second of a folder, a pattern or a stack, which do not say; 25."""


@dataclass(frozen=True, slots=True)
class VideoResult:
    """What a job did."""

    output: Path | None
    """The file that was written; ``None`` when stopped before the first frame."""
    statistics: FrameStats
    """Where every frame went."""


def translate_video(
    job: VideoJob,
    make_processing: Callable[[tuple[int, int]], Processing],
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[FrameStats, int | None], None] | None = None,
) -> VideoResult:
    """Translate a video file; the output appears whole or not at all.

    Everything that can be refused is refused before the translator is made.

    Args:
        job: what to do.
        make_processing: makes front end and engine for frames of a height and width; its
            pictures must be ``yuv420p`` with even sides. Its translator is closed at the end.
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
    try:
        source = open_patiently(lambda: _open(job), wait=False, stop=stop)
    except StoppedError:
        return VideoResult(None, FrameStats(0, 0, stopped=True))
    with source:
        info = source.info
        sink = _sink(job, info, stop)
        report = None if on_progress is None else lambda counts: on_progress(counts, info.frames)
        processing = make_processing((info.height, info.width))
        with processing.translator as translator:
            statistics = run(
                source,
                translator,
                sink,
                prepare=processing.prepare,
                stop=stop,
                on_progress=report,
            )
        if report is not None:
            report(statistics)
    return VideoResult(job.output if statistics.presented else None, statistics)


def _open(job: VideoJob) -> Source:
    options = job.options
    if not is_sequence(job.input):
        if job.fps is not None:
            raise ConfigError(f"{job.input}: a video has times of its own; leave fps out")
        return VideoSource(
            job.input, options.start_s, options.duration_s, options.allow_colour, job.read
        )
    return FolderSource(
        job.input,
        SourceOptions(
            fps=job.fps,
            allow_colour=options.allow_colour,
            read=job.read,
            start_s=options.start_s,
            duration_s=options.duration_s,
        ),
    )


def _sink(job: VideoJob, info: SourceInfo, stop: threading.Event) -> Sink:
    context = sink_context(info, job.options, job.overwrite, stop)
    return MatroskaStdout(context) if job.output == STANDARD else VideoSink(job.output, context)
