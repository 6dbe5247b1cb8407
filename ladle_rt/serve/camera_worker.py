"""One camera: a thread that streams it, and begins again whenever that fails.

What a camera does wrong stays in its own thread: it waits for a source that is not there, comes
back after an output, an engine or a driver failed, and is left behind where it hangs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.addresses import masked
from ladle_rt.errors import LadleError, OutputError, PartialResultError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.pipeline.onlooker import OpenedStream
from ladle_rt.pipeline.stream_job import StreamJob, stream
from ladle_rt.serve.account import Account
from ladle_rt.serve.alarms import Alarm, AlarmWatch
from ladle_rt.serve.segments import SegmentSink
from ladle_rt.serve.serve_config import CameraConfig, ServeConfig
from ladle_rt.serve.serve_storage import Storage
from ladle_rt.sinks.base import Sink
from ladle_rt.sinks.switches import Switch
from ladle_rt.sources.reconnect import Backoff
from ladle_rt.translate.select import FOR_VIDEO, TranslatorFactory
from ladle_rt.translate.shared_workers import SharedWorkers

logger = logging.getLogger("ladle_rt.serve")

KEPT = "kept"
"""Below a camera's folder: what people record and snap, which the storage rule does not remove."""
AGAIN = Backoff(first_s=0.5, longest_s=5.0)
"""Between attempts."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """What a page shows of a camera beside its figures."""

    alarms: tuple[Alarm, ...]
    restarts: int
    """Runs that failed."""
    recorded: str | None
    """Name of the file that is written by the storage rule."""


class _PageSink:
    """Hands pictures to the page, which never says no."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, put: Callable[[TranslatedFrame], None]) -> None:
        self._put = put

    def write(self, translated: TranslatedFrame) -> None:
        """Show it."""
        self._put(translated)

    def close(self) -> None:
        """Nothing to publish."""

    def abort(self) -> None:
        """Nothing to remove."""


class CameraWorker:
    """Streams one camera until stopped; the `Onlooker` of its runs and the `Controls` of its page.

    Methods may be called from any thread.
    """

    def __init__(
        self,
        camera: CameraConfig,
        config: ServeConfig,
        artifact: ModelArtifact,
        shared: SharedWorkers,
        storage: Storage,
    ) -> None:
        """
        Args:
            camera: what to do.
            config: what all cameras share.
            artifact: the camera's model.
            shared: workers and networks.
            storage: of recordings.
        """
        self.config = camera
        self.artifact = artifact
        self.put: Callable[[TranslatedFrame], None] = lambda translated: None
        """Shows a picture on the page and returns at once; set before `start`."""
        self._storage = storage
        options = config.options(camera)
        self._translators = TranslatorFactory(
            artifact, options, "fast", FOR_VIDEO, camera.latency_budget_ms is not None, shared
        )
        self._job = StreamJob(
            device=camera.source,
            source=camera.source_options,
            outputs=camera.outputs,
            window=False,
            policy=camera.policy,
            latency_budget_ms=camera.latency_budget_ms,
            options=options,
            record_folder=config.storage.folder / camera.name / KEPT,
            log_every_s=config.log_every_s,
            overwrite=camera.overwrite,
        )
        self.account = Account(masked(camera.source))
        self._watch, self._looking = AlarmWatch(), threading.Lock()
        self._opened: OpenedStream | None = None
        self._segments: SegmentSink | None = None
        self._restarts = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name=f"camera {camera.name}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """End soon; returns at once."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end, files whole; whether it came in time."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.error("camera %s does not end and is left behind", self.config.name)
            return False
        return True

    def figures(self) -> FrameStats:
        """Over all runs."""
        return self.account.figures()

    def state(self) -> CameraState:
        """What is wrong, and what is recorded."""
        opened, segments = self._opened, self._segments
        failures: Sequence[str] = () if opened is None else opened.failures()
        problem = None if segments is None else segments.problem
        path = None if segments is None else segments.path
        with self._looking:
            alarms = self._watch.look(self.figures(), failures, problem)
        return CameraState(alarms, self._restarts, None if path is None else path.name)

    # The onlooker of a run.

    def begin(self, figures: Callable[[], FrameStats]) -> None:
        """See `Onlooker.begin`."""
        self.account.begin(figures)

    def open(self, stream: OpenedStream) -> Sequence[Sink]:
        """See `Onlooker.open`."""
        self._opened = stream
        sinks: list[Sink] = [_PageSink(self.put)]
        if self.config.record:
            self._segments = SegmentSink(self.config.name, self._storage, stream.context)
            sinks.append(self._segments)
        return sinks

    # The controls of the page.

    @property
    def recording(self) -> Path | None:
        """See `Controls.recording`."""
        opened = self._opened
        return None if opened is None else opened.controls.recording

    def record(self, on: bool) -> Path | None:
        """See `Controls.record`.

        Raises:
            OutputError: the camera is not there, or the disk has less room than the rule leaves.
        """
        if on:
            self._storage.tidy()
            if self._storage.state.problem is not None:
                raise OutputError(self._storage.state.problem)
        return self._running().controls.record(on)

    def snapshot(self) -> Path:
        """See `Controls.snapshot`."""
        return self._running().controls.snapshot()

    def quit(self) -> None:
        """Nobody ends a camera from a page."""

    def switches(self) -> Sequence[Switch]:
        """Switches that follow the runs."""

        def find(name: str) -> Switch:
            return next(one for one in self._running().switches if one.name == name)

        def is_on() -> bool:
            opened = self._opened
            return opened is not None and find("isotherm").is_on()

        def turn(on: bool) -> None:
            find("isotherm").turn(on)

        return [Switch("isotherm", "Isotherm", is_on, turn, "i")]

    def _running(self) -> OpenedStream:
        opened = self._opened
        if opened is None:
            raise OutputError(f"camera {self.config.name} is not there; wait until it is")
        return opened

    def _work(self) -> None:
        attempt, told = 0, ""
        while not self._stop.is_set():
            presented = self.figures().presented
            problem = self._run_once()
            if self._stop.is_set() or problem is None:
                return
            if self.figures().presented > presented:
                attempt = 0
            if problem != told:
                logger.warning("camera %s: %s; trying again", self.config.name, problem)
                told = problem
            self._stop.wait(AGAIN.wait_s(attempt))
            attempt += 1

    def _run_once(self) -> str | None:
        """One run; why it failed, or ``None`` where it came to its end."""
        problem: str | None = None
        partial: str | None = None
        try:
            stream(
                self._job,
                self.artifact,
                self._translators,
                self._translators.size.boxes,
                stop=self._stop,
                notify=logger.info,
                onlooker=self,
            )
        except PartialResultError as error:
            # All of a damaged recording that could be read was shown.
            partial = str(error)
        except LadleError as error:
            problem = str(error)
        except Exception as error:
            # A bug, or a library that fails in its own way: this camera's alone.
            logger.exception("camera %s", self.config.name)
            problem = f"{type(error).__name__}: {error}"
        finally:
            self._opened = self._segments = None
        if problem is not None:
            self._restarts += 1
        self.account.end("ended" if problem is None else "lost", problem or partial)
        return problem
