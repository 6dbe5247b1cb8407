"""Source, translator and sink at work at the same time.

    capture ──► inbox ──► submit ──► translator ──► caller: collect ──► outbox ──► present
    source      policy    front end  up to `depth`  in order            policy     sinks

Every name before an arrow is a thread of its own. What full queues do is the policy: recordings
block, so that every frame is translated; live sources keep the newest frame, so that nobody ever
looks at an old picture.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ladle_rt.errors import LadleError, PartialResultError, PipelineError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import Frame, PreparedFrame, TranslatedFrame
from ladle_rt.pipeline.channel import Channel, ChannelCancelledError
from ladle_rt.pipeline.frame_counter import FrameCounter, FrameTimes
from ladle_rt.sinks.base import Sink, skipped_by
from ladle_rt.sources.base import Source

if TYPE_CHECKING:
    from ladle_rt.translate.base import Translator

Policy = Literal["block", "latest", "drop-oldest"]
"""What happens to frames that come faster than they can be translated or presented: they wait;
only the newest one waits; the oldest of a few that wait goes."""
QUEUED_FRAMES = 4
"""Captured frames, and finished pictures, that may wait: enough to ride out a key frame."""
STALL_TIMEOUT_S = 300.0
"""No stage may be silent for longer; a live source may, it has a watchdog of its own."""
JOIN_TIMEOUT_S = 10.0
"""How long a thread may take to end after it was told to; it is a daemon, so a hanging
driver cannot keep the process alive."""
TICK_S = 0.1
"""How often the caller looks up while nothing comes."""
STOP_GRACE_S = 0.5
"""A live source that has not delivered by then is closed under its reader."""


def run(
    source: Source,
    translator: Translator,
    sink: Sink,
    *,
    policy: Policy = "block",
    prepare: Callable[[Frame], PreparedFrame] = PreparedFrame,
    max_frames: int | None = None,
    duration_s: float | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[FrameStats], None] | None = None,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    counter: FrameCounter | None = None,
) -> FrameStats:
    """Translate what the source delivers and publish it.

    The sink is closed (published) at the end, or aborted on an error or when not a single
    frame was presented; source and translator stay open, they are the caller's.

    Args:
        source: read in a thread of its own.
        translator: fed in a thread of its own and emptied in the calling one.
        sink: written in a thread of its own.
        policy: what a full queue does.
        prepare: the thermal front end, called in frame order with every frame that is to be
            translated; a frame that it holds shows the picture before it once more.
        max_frames: end after so many captured frames.
        duration_s: end with the first frame that is so much later than the first one.
        stop: when set, capturing ends; what is in flight is still presented and published.
        on_progress: called in the calling thread after each translated frame, and every
            `TICK_S` while none comes.
        stall_timeout_s: how long any stage may be silent, the capture of a live source excepted.
        counter: counts, for those who want to look in from other threads.

    Returns:
        The counts; ``in_flight`` is 0. Reasons in ``dropped``: ``driver`` (`Frame.missed`),
        ``late`` (a newer frame was there), ``corrupt`` (`Frame.fault`), ``slow sink``, and those
        of ``prepare`` where there was no picture to hold yet.

    Raises:
        PartialResultError: the source's own, after everything readable was published.
        PipelineError: a stage was silent for too long.
        Exception: whatever a stage raised, with its original traceback; nothing is published.
    """
    work = _Run(
        source, translator, sink, policy, prepare, stall_timeout_s, counter or FrameCounter()
    )
    return work.execute(stop or threading.Event(), on_progress, max_frames, duration_s)


class _Run:
    def __init__(
        self,
        source: Source,
        translator: Translator,
        sink: Sink,
        policy: Policy,
        prepare: Callable[[Frame], PreparedFrame],
        stall_timeout_s: float,
        counter: FrameCounter,
    ) -> None:
        self._source = source
        self._translator = translator
        self._sink = sink
        self._policy = policy
        self._prepare = prepare
        self._stall_timeout_s = stall_timeout_s
        self._counter = counter
        self._live = source.info.live or source.info.waits
        # The waits of submit and collect are the shorter ones: they name the silent stage.
        patient_s = 2 * stall_timeout_s
        self._inbox: Channel[FrameTimes] = Channel(
            1 if policy == "latest" else QUEUED_FRAMES,
            producer="capture",
            put_timeout_s=patient_s,
            consumer="translation",
            get_timeout_s=None if self._live else stall_timeout_s,
        )
        self._flying: Channel[FrameTimes] = Channel(
            self._limit(),
            producer="capture",
            put_timeout_s=patient_s,
            consumer="translation",
            get_timeout_s=None,
        )
        """Submitted frames, in order; each stays inside until its picture was collected."""
        self._outbox: Channel[tuple[FrameTimes, TranslatedFrame]] = Channel(
            # Two frames in flight may be ready at the same moment.
            2 if policy == "latest" else QUEUED_FRAMES,
            producer="translation",
            put_timeout_s=stall_timeout_s,
            consumer="presentation",
            get_timeout_s=None,
        )
        counter.queues = lambda: {"inbox": len(self._inbox), "outbox": len(self._outbox)}
        counter.skipped = lambda: skipped_by(sink)
        self._failure: BaseException | None = None
        self._failure_lock = threading.Lock()
        self._partial: PartialResultError | None = None
        self._threads = {
            name: threading.Thread(target=self._guarded, args=(stage,), name=name, daemon=True)
            for name, stage in (("submit", self._submit), ("present", self._present))
        }

    def execute(
        self,
        stop: threading.Event,
        on_progress: Callable[[FrameStats], None] | None,
        max_frames: int | None,
        duration_s: float | None,
    ) -> FrameStats:
        self._stop = stop
        self._threads["capture"] = threading.Thread(
            target=self._guarded,
            args=(lambda: self._capture(max_frames, duration_s),),
            name="capture",
            daemon=True,
        )
        for thread in self._threads.values():
            thread.start()
        try:
            self._collect(on_progress)
            self._threads["present"].join(self._stall_timeout_s)
        except ChannelCancelledError:
            pass
        except BaseException as error:
            self._fail(error)
        return self._conclude()

    def _conclude(self) -> FrameStats:
        present = self._threads["present"]
        if self._failure is None and present.is_alive():
            self._fail(PipelineError(f"presentation did nothing for {self._stall_timeout_s:g} s"))
        if self._live:
            # Its reader may wait for a frame that never comes.
            self._source.close()
        limit_s = time.monotonic() + JOIN_TIMEOUT_S
        for thread in self._threads.values():
            thread.join(max(0.0, limit_s - time.monotonic()))
        if self._failure is not None:
            # A sink that still hangs in its own thread must not be torn down under it.
            if not present.is_alive():
                self._sink.abort()
            raise self._failure
        stats = self._counter.stats()
        if stats.presented == 0:
            self._sink.abort()
        else:
            self._sink.close()
        if self._partial is not None:
            raise self._partial
        return stats

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except ChannelCancelledError:
            pass
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Keep the first error, which caused the others, and wake every stage."""
        with self._failure_lock:
            if self._failure is None:
                self._failure = error
        for channel in (self._inbox, self._flying, self._outbox):
            channel.cancel()

    def _limit(self) -> int:
        """Frames in flight: all that the translator takes, or, live, none that only wait in it."""
        depth = self._translator.depth
        return depth if self._policy == "block" else (depth + 1) // 2

    def _capture(self, max_frames: int | None, duration_s: float | None) -> None:
        count = 0
        first_s: float | None = None
        try:
            for frame in self._source:
                # Checked on a frame in hand, so that "stopped" means frames were left out.
                if self._stop.is_set():
                    self._counter.stopped = True
                    break
                first_s = frame.time_s if first_s is None else first_s
                if duration_s is not None and frame.time_s - first_s >= duration_s:
                    break
                times = self._counter.captured(frame)
                if frame.fault is not None or not _usable(frame):
                    self._counter.dropped(times, "corrupt")
                elif self._policy == "block":
                    self._inbox.put(times)
                else:
                    for late in self._inbox.offer(times):
                        self._counter.dropped(late, "late")
                count += 1
                if count == max_frames:
                    break
        except PartialResultError as error:
            # A pipe that is no longer read looks cut off.
            if not (self._live and self._stop.is_set()):
                self._partial = error
        except LadleError:
            # Closed under its reader, a live source may end in any of its own ways.
            if not (self._live and self._stop.is_set()):
                raise
        self._inbox.end()

    def _submit(self) -> None:
        while True:
            # Room first: what is still in the inbox can be replaced by something newer.
            self._flying.capacity = self._limit()
            self._flying.wait_for_room()
            times = self._inbox.get()
            if times is None:
                break
            times.taken_ns = time.monotonic_ns()
            prepared = self._prepare(times.frame)
            times.hold = prepared.hold
            if prepared.hold is None:
                self._translator.submit(prepared.frame)
            self._flying.put(times)
        self._flying.end()

    def _collect(self, on_progress: Callable[[FrameStats], None] | None) -> None:
        newest: TranslatedFrame | None = None
        stopped_s: float | None = None
        while True:
            times, ended = self._flying.head(TICK_S)
            if ended:
                break
            if times is not None:
                if times.hold is None:
                    newest = self._translator.collect(self._stall_timeout_s)
                times.translated_ns = time.monotonic_ns()
                self._flying.take()
                self._hand_on(times, newest)
            elif self._live and self._stop.is_set():
                now_s = time.monotonic()
                stopped_s = stopped_s or now_s
                if now_s - stopped_s > STOP_GRACE_S:
                    self._counter.stopped = True
                    self._source.close()
                    self._inbox.end()
            if on_progress is not None:
                on_progress(self._counter.stats())
        self._outbox.end()

    def _hand_on(self, times: FrameTimes, newest: TranslatedFrame | None) -> None:
        """The newest picture, for the frame as it was captured."""
        if newest is None:
            assert times.hold is not None
            self._counter.dropped(times, times.hold)
            return
        item = times, replace(newest, frame=times.frame)
        if self._policy == "block":
            self._outbox.put(item)
            return
        for late, _ in self._outbox.offer(item):
            self._counter.dropped(late, "slow sink")

    def _present(self) -> None:
        while (item := self._outbox.get()) is not None:
            times, translated = item
            times.begun_ns = time.monotonic_ns()
            self._sink.write(translated)
            self._counter.presented(times)


def _usable(frame: Frame) -> bool:
    pixels = frame.pixels
    return pixels.ndim == 2 and pixels.size > 0 and pixels.dtype in (np.uint8, np.uint16)
