"""Segments that follow each other, translated as if everything before them had been too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ladle_rt.archive.plan import Archive
from ladle_rt.archive.segment_sink import SegmentSink
from ladle_rt.archive.survey import Segment, Survey
from ladle_rt.closing import Closing
from ladle_rt.errors import InputError
from ladle_rt.frames import Frame, PreparedFrame
from ladle_rt.geometry import fit_letterbox, shrink
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.pipeline.processing import Processing
from ladle_rt.pipeline.run import run
from ladle_rt.sinks.base import Sink, SinkContext
from ladle_rt.sinks.encoding import plan_encoder
from ladle_rt.sources.base import Source, SourceInfo
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.normalization import LevelTracker
from ladle_rt.translate.select import FOR_VIDEO, TranslatorFactory


def run_segments(
    recording: Path,
    scratch: Path,
    target: Path,
    archive: Archive,
    survey: Survey,
    segments: Sequence[Segment],
    model: ModelArtifact,
    finished: Callable[[Segment, int, Path | None], None],
    progress: Callable[[int], None],
) -> None:
    """Translate a run.

    Args:
        recording: on this machine's disk.
        scratch: folder for the segments' files.
        target: a name with the extension of the video that they will be.
        archive: what to do.
        survey: of the recording.
        segments: of it, in order and without gaps.
        model: the network.
        finished: see `SegmentSink`.
        progress: told how many frames have been translated so far.

    Raises:
        LadleError: what `ladle_rt.translate_video` raises.
        PartialResultError: the recording is damaged; every segment is finished.
    """
    plan = plan_encoder(target, archive.options.encoding)
    height, width = survey.height & ~1 or 2, survey.width & ~1 or 2
    if archive.options.layout == "side-by-side":
        width *= 2
    with _RunSource(recording, archive, survey, segments) as source:
        processing = _processing(archive, survey, model)
        info = source.info
        context = SinkContext(
            width=info.width,
            height=info.height,
            rate=info.rate,
            time_base=info.time_base,
            sample_aspect_ratio=info.sample_aspect_ratio,
        )
        sink: Sink = SegmentSink(segments, scratch, plan, (height, width), context, finished)
        warm = _WarmUp(processing, archive, model, segments[0])
        with processing.translator as translator:
            statistics = run(
                source,
                translator,
                sink,
                prepare=warm.prepare,
                on_progress=lambda counts: progress(counts.presented),
            )
    if not statistics.presented:
        raise InputError(f"{recording}: nothing could be translated; every frame was held back")


def _processing(archive: Archive, survey: Survey, model: ModelArtifact) -> Processing:
    """As `ladle_rt.translate_video` makes it: for the size of the recording's first frame."""
    translators = TranslatorFactory(model, archive.options, "balanced", FOR_VIDEO)
    made = translators((survey.height, survey.width))
    return Processing(made, archive.options, model.info.thermal)


class _RunSource(Closing):
    """The frames of a run and those before it that it warms up on, with the recording's times."""

    def __init__(
        self, path: Path, archive: Archive, survey: Survey, segments: Sequence[Segment]
    ) -> None:
        begin_s = segments[0].warm_s
        after = segments[-1].number + 1
        end_s = survey.segments[after].border_s if after < len(survey.segments) else None
        self._source: Source = VideoSource(
            path,
            begin_s,
            None if end_s is None else end_s - begin_s,
            archive.options.allow_colour,
            archive.read,
        )
        info = self._source.info
        assert info.media is not None
        self._shift = int((info.media.origin_s - survey.origin_s) / info.time_base)
        self.info: SourceInfo = info

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            assert frame.pts is not None
            yield replace(frame, pts=frame.pts + self._shift)

    def close(self) -> None:
        self._source.close()


class _WarmUp:
    """Before the first frame that is translated, the front end and the levels see those before.

    Watching costs a hundredth of translating, and levels forget slower than pictures do.
    """

    def __init__(
        self, processing: Processing, archive: Archive, model: ModelArtifact, first: Segment
    ) -> None:
        options = archive.options
        self._processing, self._multiple = processing, model.info.size_multiple
        self._pictures_pts = first.pictures_pts
        self._tracker: LevelTracker | None = LevelTracker(
            model.info.thermal, options.smoothing_s, options.fixed_range
        )

    def prepare(self, frame: Frame) -> PreparedFrame:
        """See `Processing.prepare`."""
        prepared = self._processing.prepare(frame)
        assert frame.pts is not None
        if prepared.hold is not None or self._tracker is None:
            return prepared
        translator = self._processing.translator
        if frame.pts < self._pictures_pts:
            pixels = prepared.frame.pixels
            fit = fit_letterbox(
                pixels.shape[0], pixels.shape[1], translator.network_size, self._multiple
            )
            self._tracker.update(shrink(pixels, fit), frame.time_s)
            return PreparedFrame(frame, "warm-up")
        if (followed := self._tracker.followed) is not None:
            translator.resume_levels(followed)
        self._tracker = None
        return prepared
