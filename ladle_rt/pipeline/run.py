"""Source, translator and sink at work at the same time.

    capture thread ──► inbox ──► caller: submit / collect ──► outbox ──► present thread
    source             bounded   up to `depth` in flight      bounded    sink

The translator has its own workers, so decoding, translating and encoding overlap. What a full
inbox does is the policy: files block (every frame is translated).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ladle_rt.errors import PartialResultError, PipelineError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.pipeline.channel import Channel, ChannelCancelledError
from ladle_rt.pipeline.statistics import RunStatistics
from ladle_rt.sinks.base import Sink
from ladle_rt.sources.base import Source

if TYPE_CHECKING:
    from ladle_rt.translate.base import Translator

QUEUED_FRAMES = 4
"""Captured frames, and finished pictures, that may wait: enough to ride out a key frame."""
STALL_TIMEOUT_S = 300.0
"""No stage may be silent for longer."""
JOIN_TIMEOUT_S = 10.0
"""How long a thread may take to end after it was told to; it is a daemon, so a hanging
driver cannot keep the process alive."""


def run(
    source: Source,
    translator: Translator,
    sink: Sink,
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[RunStatistics], None] | None = None,
    stall_timeout_s: float = STALL_TIMEOUT_S,
) -> RunStatistics:
    """Translate everything that the source delivers and publish it.

    The sink is closed (published) at the end, or aborted on an error or when not a single
    frame was translated; source and translator stay open, they are the caller's.

    Args:
        source: read in a thread of its own.
        translator: fed and emptied in the calling thread.
        sink: written in a thread of its own.
        stop: when set, capturing ends; what is in flight is still presented and published.
        on_progress: called in the calling thread after each translated frame.
        stall_timeout_s: how long any stage may be silent.

    Returns:
        The counts; ``in_flight`` is 0.

    Raises:
        PartialResultError: the source's own, after everything readable was published.
        PipelineError: a stage was silent for too long.
        Exception: whatever a stage raised, with its original traceback; nothing is published.
    """
    return _Run(source, translator, sink, stop, on_progress, stall_timeout_s).execute()


class _Run:
    def __init__(
        self,
        source: Source,
        translator: Translator,
        sink: Sink,
        stop: threading.Event | None,
        on_progress: Callable[[RunStatistics], None] | None,
        stall_timeout_s: float,
    ) -> None:
        self._source = source
        self._translator = translator
        self._sink = sink
        self._stop = stop or threading.Event()
        self._on_progress = on_progress
        self._stall_timeout_s = stall_timeout_s
        # The caller's waits are the shorter ones: they name the stage that is silent.
        patient_s = 2 * stall_timeout_s
        self._inbox: Channel[Frame] = Channel(
            QUEUED_FRAMES,
            producer="capture",
            put_timeout_s=patient_s,
            consumer="translation",
            get_timeout_s=stall_timeout_s,
        )
        self._outbox: Channel[TranslatedFrame] = Channel(
            QUEUED_FRAMES,
            producer="translation",
            put_timeout_s=stall_timeout_s,
            consumer="presentation",
            get_timeout_s=patient_s,
        )
        self._failure: BaseException | None = None
        self._failure_lock = threading.Lock()
        self._partial: PartialResultError | None = None
        self._captured = 0
        self._presented = 0
        self._stopped = False
        self._begin_s = time.monotonic()
        self._first_picture_s: float | None = None

    def execute(self) -> RunStatistics:
        threads = [
            threading.Thread(target=self._guarded, args=(stage,), name=name, daemon=True)
            for name, stage in (("capture", self._capture), ("present", self._present))
        ]
        for thread in threads:
            thread.start()
        try:
            self._translate()
            threads[1].join(self._stall_timeout_s)
        except ChannelCancelledError:
            pass
        except BaseException as error:
            self._fail(error)
        return self._conclude(threads)

    def _conclude(self, threads: list[threading.Thread]) -> RunStatistics:
        if self._failure is None and threads[1].is_alive():
            self._fail(PipelineError(f"presentation did nothing for {self._stall_timeout_s:g} s"))
        limit_s = time.monotonic() + JOIN_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, limit_s - time.monotonic()))
        if self._failure is not None:
            # A sink that still hangs in its own thread must not be torn down under it.
            if not threads[1].is_alive():
                self._sink.abort()
            raise self._failure
        if self._presented == 0:
            self._sink.abort()
        else:
            self._sink.close()
        if self._partial is not None:
            raise self._partial
        return self.statistics()

    def statistics(self) -> RunStatistics:
        # Presented is read first: it can only lag behind captured.
        presented, captured = self._presented, self._captured
        return RunStatistics(
            captured=captured,
            presented=presented,
            in_flight=captured - presented,
            elapsed_s=time.monotonic() - self._begin_s,
            first_picture_s=self._first_picture_s,
            stopped=self._stopped,
        )

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
        self._inbox.cancel()
        self._outbox.cancel()

    def _capture(self) -> None:
        try:
            for frame in self._source:
                # Checked on a frame in hand, so that "stopped" means frames were left out.
                if self._stop.is_set():
                    self._stopped = True
                    break
                self._captured += 1
                self._inbox.put(frame)
        except PartialResultError as error:
            self._partial = error
        self._inbox.end()

    def _translate(self) -> None:
        in_flight, ended = 0, False
        while True:
            while not ended and in_flight < self._translator.depth:
                # With work in flight its results come first: an empty inbox is not waited for.
                if in_flight:
                    frame, ended = self._inbox.poll()
                else:
                    frame = self._inbox.get()
                    ended = frame is None
                if frame is None:
                    break
                self._translator.submit(frame)
                in_flight += 1
            if in_flight == 0:
                if ended:
                    break
                continue
            self._outbox.put(self._translator.collect(self._stall_timeout_s))
            in_flight -= 1
            if self._on_progress is not None:
                self._on_progress(self.statistics())
        self._outbox.end()

    def _present(self) -> None:
        while (translated := self._outbox.get()) is not None:
            self._sink.write(translated)
            self._presented += 1
            if self._first_picture_s is None:
                self._first_picture_s = time.monotonic() - self._begin_s
