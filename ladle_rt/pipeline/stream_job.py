"""A live source in, colour pictures to everyone who asked for them, until told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import ConfigError, OutputError, StoppedError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.pipeline.frame_counter import FrameCounter
from ladle_rt.pipeline.latency_budget import LatencyBudget
from ladle_rt.pipeline.monitor import Monitor, summary
from ladle_rt.pipeline.onlooker import Onlooker, OpenedStream
from ladle_rt.pipeline.processing import Processing, sink_context
from ladle_rt.pipeline.run import Policy, run
from ladle_rt.pipeline.shared_places import refuse_shared_places
from ladle_rt.pipeline.stats_file import StatsFile
from ladle_rt.pipeline.trace import Trace
from ladle_rt.sinks.fanout import FanOut
from ladle_rt.sinks.recorder import Recorder
from ladle_rt.sinks.select import open_sinks
from ladle_rt.sinks.switches import Switch
from ladle_rt.sinks.video_sink import VideoSink
from ladle_rt.sources.base import Source, SourceInfo, SourceOptions
from ladle_rt.sources.select import open_source
from ladle_rt.thermal.isotherm import IsothermSwitch
from ladle_rt.thermal.thermal_view import ThermalView
from ladle_rt.translate.network_size import Size, work

if TYPE_CHECKING:
    from ladle_rt.translate.base import Translator

logger = logging.getLogger("ladle_rt.stream")

ROW_EVERY_S = 1.0
"""Between rows of the figures' file."""
LIVE_BUDGET_MS = 100.0
"""What a live picture may be late while the network grows: hardly noticed beside a window."""
BUDGET_EVERY_S = 0.1
BUDGET_WINDOW_S = 1.0
"""What the latency budget looks at, at most."""


@dataclass(frozen=True, slots=True)
class StreamJob:
    """What to translate, and who wants to see it."""

    device: str
    """Camera, address, file or pattern; see `ladle_rt.sources.select`."""
    source: SourceOptions = field(default_factory=SourceOptions)
    """How it is opened."""
    outputs: tuple[str, ...] = ()
    """Files, addresses and devices; see `ladle_rt.sinks.select`."""
    window: bool | None = None
    """Show a window; ``None``: where there is a display and nothing else was asked for."""
    preview: str | None = None
    """``[HOST:]PORT`` of the page."""
    token: str | None = None
    """What the page asks for; ``None``: made up, and only for addresses others can reach."""
    policy: Policy | None = None
    """``None``: ``latest`` for live sources, ``block`` for recordings."""
    max_frames: int | None = None
    """End after so many captured frames."""
    stats: Path | None = None
    """JSON lines of the figures."""
    trace: Path | None = None
    """Chrome trace of every frame."""
    latency_budget_ms: float | None = None
    """Use a smaller network rather than be later than this, and the largest that is not;
    ``None``: a live source climbs from the first box within `LIVE_BUDGET_MS`, and never below."""
    options: TranslateOptions = field(default_factory=TranslateOptions)
    """What happens to the frames, and how video is compressed."""
    record_folder: Path = Path(".")
    """Where recordings and snapshots go that were asked for by key or button."""
    log_every_s: float = 10.0
    """Seconds between lines of figures in the log; 0: none."""
    overwrite: bool = False
    """Whether existing files may be replaced."""

    def __post_init__(self) -> None:
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"max_frames must be >= 1, received {self.max_frames}")
        if not self.log_every_s >= 0:
            raise ConfigError(f"log_every_s must be >= 0, received {self.log_every_s:g}")
        if self.latency_budget_ms is not None and not self.latency_budget_ms > 0:
            raise ConfigError(f"latency budget must be > 0 ms, received {self.latency_budget_ms:g}")


@dataclass(frozen=True, slots=True)
class StreamResult:
    """What a stream did."""

    statistics: FrameStats
    failures: tuple[str, ...]
    """Outputs that ended early, one line each."""


def stream(
    job: StreamJob,
    artifact: ModelArtifact,
    make_translator: Callable[[tuple[int, int]], Translator],
    boxes: Callable[[Size], Sequence[Size]],
    *,
    stop: threading.Event,
    notify: Callable[[str], None],
    onlooker: Onlooker | None = None,
) -> StreamResult:
    """Translate a source until it ends, ``max_frames`` came, or ``stop`` is set.

    Everything that can be refused is refused before the translator is made.

    Args:
        job: what to do.
        artifact: the model; its normalisation makes the thermal picture.
        make_translator: makes the engine for frames of a height and width; its pictures must
            be ``yuv420p`` with even sides. It is closed at the end.
        boxes: of the network, largest first, that a latency budget may move between for such
            frames; those that the translator cannot do are left out.
        stop: ends the stream in an orderly way; also set by the window and the page.
        notify: gets lines for people, such as the page's address.
        onlooker: what else looks on and shows pictures.

    Raises:
        LadleError: source, outputs or settings that cannot be used; see `ladle_rt.errors`.
    """
    refuse_shared_places(job.device, job.outputs, {"--stats": job.stats, "--trace": job.trace})
    with ExitStack() as stack:
        trace = None
        if job.trace is not None:
            trace = stack.enter_context(Trace(job.trace, job.overwrite))
        counter = FrameCounter(trace)
        monitor = Monitor(counter)
        if onlooker is not None:
            onlooker.begin(monitor.figures)
        try:
            source = open_source(job.device, job.source, monitor.note_event, stop)
        except StoppedError:
            return StreamResult(FrameStats(0, 0, stopped=True), ())
        stack.enter_context(source)
        monitor.source = source.info.name or job.device
        sinks = FanOut()
        opening = stack.enter_context(ExitStack())
        opening.callback(sinks.abort)
        isotherm = IsothermSwitch(job.options.isotherm)
        _open_outputs(job, source.info, artifact, monitor, sinks, isotherm, stop, notify, onlooker)
        rows = None
        if job.stats is not None:
            rows = StatsFile(job.stats, job.overwrite)
            stack.callback(rows.close)
        size = (source.info.height, source.info.width)
        processing = Processing(make_translator(size), job.options, artifact.info.thermal, isotherm)
        translator = processing.translator
        stack.enter_context(translator)
        monitor.attach(translator)
        budget = _budget(job, source, translator, boxes(size))
        housekeeping = _Housekeeping(job.log_every_s, counter, monitor, translator, rows, budget)
        # From here on the run ends them: it alone knows whether a writer still hangs in one.
        opening.pop_all()
        try:
            statistics = run(
                source,
                translator,
                sinks,
                policy=job.policy or _policy(source),
                prepare=processing.prepare,
                max_frames=job.max_frames,
                duration_s=job.options.duration_s,
                stop=stop,
                on_progress=housekeeping.check,
                counter=counter,
            )
        except BaseException as error:
            monitor.ended(str(error))
            housekeeping.finish()
            raise
        monitor.ended()
        housekeeping.finish()
        for name, count in statistics.skipped.items():
            if count:
                logger.warning("%s: skipped %d of %d pictures", name, count, statistics.presented)
        return StreamResult(statistics, (*sinks.failures, *housekeeping.failures))


def _budget(
    job: StreamJob, source: Source, translator: Translator, boxes: Sequence[Size]
) -> LatencyBudget | None:
    """What moves the network's box, where something may."""
    first, frame = translator.network_size, (source.info.height, source.info.width)
    possible = [box for box in boxes if box == first or translator.supports(frame, box)]
    if job.latency_budget_ms is not None:
        return LatencyBudget(job.latency_budget_ms, possible, first)
    possible = [box for box in possible if work(box) >= work(first)]
    if not source.info.live or len(possible) == 1:
        return None
    return LatencyBudget(LIVE_BUDGET_MS, possible, first)


def _policy(source: Source) -> Policy:
    return "latest" if source.info.live else "block"


def _open_outputs(
    job: StreamJob,
    info: SourceInfo,
    artifact: ModelArtifact,
    monitor: Monitor,
    sinks: FanOut,
    isotherm: IsothermSwitch,
    stop: threading.Event,
    notify: Callable[[str], None],
    onlooker: Onlooker | None,
) -> None:
    sound_ends = stop
    if job.max_frames is not None:
        sound_ends = threading.Event()
        sound_ends.set()
    context = sink_context(info, job.options, job.overwrite, sound_ends)
    for sink in open_sinks(job.outputs, context):
        sinks.add(sink)
    window = job.window
    if window is None and not job.outputs and job.preview is None:
        from ladle_rt.sinks.window_sink import display_available

        problem = display_available()
        if problem is not None:
            raise OutputError(
                f"nothing to show the pictures on: {problem}; add --preview 8080 and open the "
                "page, or --output out.mkv"
            )
        window = True
    # Started at any moment: what else the input holds does not belong to it.
    on_demand = replace(context, overwrite=False, media=None)
    recorder = Recorder(job.record_folder, lambda path: VideoSink(path, on_demand, "growing"), stop)
    label = f"Isotherm {isotherm.isotherm.level}"
    switches = [Switch("isotherm", label, lambda: isotherm.on, isotherm.turn, "i")]
    if job.preview is not None or window or onlooker is not None:
        sinks.add(recorder, idle=True)
    if onlooker is not None:
        seen = OpenedStream(on_demand, recorder, switches, lambda: tuple(sinks.failures))
        for sink in onlooker.open(seen):
            sinks.add(sink)

    def thermal_view() -> ThermalView:
        return ThermalView(artifact.info.thermal, job.options.palette)

    if job.preview is not None:
        from ladle_rt.sinks.preview import open_preview

        sinks.add(
            open_preview(
                job.preview, job.token, thermal_view, monitor.figures, recorder, notify, switches
            )
        )
    if window:
        from ladle_rt.sinks.picture_layout import View
        from ladle_rt.sinks.window_sink import WindowSink

        view = View(thermal_view())
        title = f"ladle-rt: {monitor.source}"
        sinks.add(WindowSink(title, view, monitor.figures, recorder, switches))


class _Housekeeping:
    """What is done beside the frames, in the calling thread: rows, log lines, the budget."""

    def __init__(
        self,
        log_every_s: float,
        counter: FrameCounter,
        monitor: Monitor,
        translator: Translator,
        rows: StatsFile | None,
        budget: LatencyBudget | None,
    ) -> None:
        self._monitor, self._counter, self._translator = monitor, counter, translator
        self._rows, self._log_every_s, self._budget = rows, log_every_s, budget
        now_s = time.monotonic()
        self._row_s = self._log_s = self._budget_s = self._moved_s = now_s
        self._late = 0
        self.failures: list[str] = []
        """What ended early, one line each."""

    def check(self, statistics: FrameStats) -> None:
        """Do what is due."""
        now_s = time.monotonic()
        if self._budget is not None and now_s - self._budget_s >= BUDGET_EVERY_S:
            self._budget_s = now_s
            self._hold_budget(self._budget, statistics, now_s)
        if now_s - self._row_s >= ROW_EVERY_S:
            self._row_s = now_s
            self._write_row()
        if self._log_every_s and now_s - self._log_s >= self._log_every_s:
            self._log_s = now_s
            logger.info("%s", summary(self._monitor.figures()))

    def finish(self) -> None:
        """The last row."""
        self._write_row()

    def _write_row(self) -> None:
        """Where rows are kept; a disk that is full ends them, not the stream."""
        if self._rows is None:
            return
        try:
            self._rows.write({"time": round(time.time(), 3), **self._monitor.figures().to_dict()})
        except OutputError as error:
            self._rows = None
            self.failures.append(str(error))
            logger.error("%s; going on without it", error)

    def _hold_budget(self, budget: LatencyBudget, statistics: FrameStats, now_s: float) -> None:
        late = statistics.dropped.get("late", 0)
        overloaded, self._late = late > self._late, late
        within_s = min(BUDGET_WINDOW_S, now_s - self._moved_s)
        recent = self._counter.recent_latency_ms(within_s)
        move = budget.update(now_s, recent.p95, overloaded)
        if move is not None:
            self._moved_s = now_s
            self._translator.resize(move.size)
            logger.info("network at %dx%d: %s", *move.size[::-1], move.reason)
