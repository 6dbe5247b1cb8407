"""All cameras of a configuration: started, changed and ended one by one, and shown together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from ladle_rt.closing import Closing
from ladle_rt.errors import LadleError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.serve.camera_worker import CameraWorker
from ladle_rt.serve.grid_site import GridSite
from ladle_rt.serve.overview import camera_overview
from ladle_rt.serve.serve_config import ServeConfig, load_config
from ladle_rt.serve.serve_storage import Storage
from ladle_rt.sinks.preview.connection_limits import Connections
from ladle_rt.sinks.preview.server import PageServer
from ladle_rt.thermal.thermal_view import ThermalView
from ladle_rt.translate.select import workers_for
from ladle_rt.translate.shared_workers import SharedWorkers

logger = logging.getLogger("ladle_rt.serve")

TIDY_EVERY_S = 5.0
STOP_TIMEOUT_S = 15.0
"""How long cameras may take to end, all together; a driver that hangs is left behind then."""
NEXT_START = ("engine", "page", "log_every_s")
"""Tables that all cameras share: changed at the next start, because nothing else restarts."""


class Supervisor(Closing):
    """Runs what a configuration says until closed.

    `apply` and `reload` belong to one thread; everything else may be called from any.
    """

    def __init__(
        self, config: ServeConfig, notify: Callable[[str], None], token: str | None = None
    ) -> None:
        """Start every camera; those that are not there are waited for.

        Args:
            config: what to run.
            notify: gets lines for people, such as the page's address.
            token: what the page asks for; ``None``: what the configuration says.

        Raises:
            LadleError: the page cannot be served, or no such model.
        """
        self.config = config
        self.problem: str | None = None
        """Why the last reload was refused."""
        self._workers: dict[str, CameraWorker] = {}
        self._lock = threading.Lock()
        """Held while the table of workers changes or is copied."""
        self._artifacts: dict[str, ModelArtifact] = {}
        self._storage = Storage(config.storage)
        workers = workers_for(config.engine.backend, config.engine.threads)
        self._shared = SharedWorkers(workers, config.engine.batch)
        self._ended = threading.Event()
        self._site: GridSite | None = None
        self._server: PageServer | None = None
        self._tidier = threading.Thread(target=self._tidy, name="storage", daemon=True)
        try:
            made = self._make(config)
            if config.page.address:
                self._server = PageServer(
                    config.page.address, token or config.page.token, self._make_site
                )
                for url in self._server.urls:
                    notify(f"page: {url}")
            else:
                notify('no page; for one add address = "8080" under [page]')
            if any(one.record for one in config.camera):
                self._storage.tidy()
            self._tidier.start()
            self._start(made)
        except BaseException:
            self.close()
            raise

    @property
    def urls(self) -> list[str]:
        """Of the page; empty without one."""
        return [] if self._server is None else self._server.urls

    def figures(self) -> dict[str, FrameStats]:
        """By camera."""
        return {name: worker.figures() for name, worker in self._copy().items()}

    def overview(self) -> Mapping[str, Any]:
        """Everything of this moment, JSON-ready."""
        workers = self._copy()
        storage = self._storage.state
        return {
            "time": round(time.time(), 3),
            "cameras": [camera_overview(name, worker) for name, worker in workers.items()],
            "config_problem": self.problem,
            "storage": {
                "bytes": storage.bytes,
                "free_bytes": storage.free_bytes,
                "files": storage.files,
                "removed": storage.removed,
                "problem": storage.problem,
            },
        }

    def reload(self, path: Path) -> bool:
        """Read the file again and go over to it; one with an error changes nothing.

        Returns:
            Whether it was taken.
        """
        try:
            self.apply(load_config(path))
        except LadleError as error:
            self.problem = str(error)
            logger.error("%s; everything goes on as it was", error)
            return False
        self.problem = None
        return True

    def apply(self, config: ServeConfig) -> None:
        """Go over to another configuration: only cameras that it changes end or begin.

        Raises:
            LadleError: it cannot be used; nothing was changed.
        """
        for name in NEXT_START:
            if getattr(config, name) != getattr(self.config, name):
                logger.warning("[%s] was changed: that counts from the next start", name)
                config = replace(config, **{name: getattr(self.config, name)})
        wanted = {one.name: one for one in config.camera}
        leaving = {
            name: worker for name, worker in self._copy().items()
            if wanted.get(name) != worker.config
        }  # fmt: skip
        staying = self._copy().keys() - leaving.keys()
        made = self._make(config, staying)
        self.config, self._storage.rule = config, config.storage
        self._end(leaving)
        self._start(made)
        logger.warning(
            "configuration read again: %d cameras, %d ended, %d begun",
            len(wanted), len(leaving), len(made),
        )  # fmt: skip

    def close(self) -> None:
        """End every camera, files whole, and the page; calling it twice is harmless."""
        self._ended.set()
        self._shared.give_up()
        self._end(self._copy(), keep_pages=True)
        if self._server is not None:
            self._server.close()
        self._shared.close()

    def _copy(self) -> dict[str, CameraWorker]:
        with self._lock:
            return dict(self._workers)

    def _make(self, config: ServeConfig, staying: Iterable[str] = ()) -> list[CameraWorker]:
        """Workers of the cameras that do not run yet; none is started."""
        made = []
        for camera in config.camera:
            if camera.name in staying:
                continue
            model = camera.model or config.engine.model
            if model not in self._artifacts:
                self._artifacts[model] = load_artifact(model)
            made.append(
                CameraWorker(camera, config, self._artifacts[model], self._shared, self._storage)
            )
        return made

    def _start(self, workers: Iterable[CameraWorker]) -> None:
        for worker in workers:
            name = worker.config.name
            if self._site is not None:
                pictures = self._site.add(
                    name, _thermal(worker), worker.figures, worker, worker.switches()
                )
                worker.put = pictures.put
            with self._lock:
                self._workers[name] = worker
            worker.start()

    def _end(self, workers: Mapping[str, CameraWorker], keep_pages: bool = False) -> None:
        for worker in workers.values():
            worker.ask_to_stop()
        until_s = time.monotonic() + STOP_TIMEOUT_S
        for name, worker in workers.items():
            worker.join(max(0.0, until_s - time.monotonic()))
            if keep_pages:
                continue
            with self._lock:
                self._workers.pop(name, None)
            if self._site is not None:
                self._site.remove(name)

    def _make_site(self, connections: Connections) -> GridSite:
        self._site = GridSite(connections, self.overview, self.figures, self._metrics)
        return self._site

    def _metrics(self) -> Iterable[Metric]:
        alarms = GaugeMetricFamily(
            "ladle_rt_alarm", "1 while it stands.", labels=["camera", "alarm"]
        )
        restarts = GaugeMetricFamily("ladle_rt_restarts", "Runs that failed.", labels=["camera"])
        for name, worker in self._copy().items():
            state = worker.state()
            for kind in sorted({alarm.kind for alarm in state.alarms}):
                alarms.add_metric([name, kind], 1)
            restarts.add_metric([name], state.restarts)
        yield alarms
        yield restarts
        refused = float(self.problem is not None)
        yield GaugeMetricFamily("ladle_rt_config_refused", "1: the file has an error.", refused)
        storage = self._storage.state
        yield GaugeMetricFamily("ladle_rt_recordings_bytes", "Of all files.", storage.bytes)
        yield GaugeMetricFamily("ladle_rt_disk_free_bytes", "For files.", storage.free_bytes)

    def _tidy(self) -> None:
        while not self._ended.wait(TIDY_EVERY_S):
            asked = [worker for worker in self._copy().values() if worker.recording is not None]
            if not asked and not any(one.record for one in self.config.camera):
                continue
            self._storage.tidy()
            if self._storage.state.problem is None:
                continue
            for worker in asked:
                # What people asked for may not fill the disk either.
                try:
                    worker.record(False)
                except LadleError as error:
                    logger.error("camera %s: %s", worker.config.name, error)


def _thermal(worker: CameraWorker) -> Callable[[], ThermalView]:
    spec, palette = worker.artifact.info.thermal, worker.config.options.palette
    return lambda: ThermalView(spec, palette)
