"""A whole archive job: plan, workers, driver, report."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import filelock

from ladle_rt.archive.archive_driver import translate_archive
from ladle_rt.archive.archive_report import Report
from ladle_rt.archive.archive_storage import open_store
from ladle_rt.archive.estimate import Estimate, estimate
from ladle_rt.archive.folder_store import FolderStore
from ladle_rt.archive.ledger import HIDDEN
from ladle_rt.archive.plan import Archive, Recording, find_recordings
from ladle_rt.archive.ray_workers import RayWorkers
from ladle_rt.archive.shipped_model import ShippedModel, pack
from ladle_rt.archive.store import Store
from ladle_rt.archive.workers import MEMORY_MB, LocalWorkers, Workers, local_workers
from ladle_rt.config import TranslateOptions
from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
from ladle_rt.thermal.scene_reader import ReadOptions

SAME_NAME = "another recording would have the same name, {}; rename one of them"


@dataclass(frozen=True, slots=True)
class ArchiveJob:
    """What to translate, where to, and on what."""

    sources: tuple[str, ...]
    """Files, and folders whose videos are meant; paths or URLs."""
    target: str
    """Folder that gets the videos; path or URL."""
    model: str | Path | None = None
    """See `ladle_rt.load`."""
    options: TranslateOptions = field(default_factory=TranslateOptions)
    """See `Archive.options`; ``threads`` is for each worker."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """See `Archive.read`."""
    container: Literal["mp4", "mkv"] = "mp4"
    """See `Archive.container`."""
    segment_s: float = 60.0
    """See `Archive.segment_s`."""
    workers: int | None = None
    """At a time; ``None``: what the machine or the cluster bears."""
    address: str | None = None
    """Of a Ray cluster; ``None``: processes of this machine."""
    gpus: float = 0.0
    """Share of a GPU that each worker takes of a cluster."""
    memory_mb: int = MEMORY_MB
    """That each worker takes of a cluster."""
    overwrite: bool = False
    """See `translate_archive`."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers must be >= 1, received {self.workers}")
        if not 0 <= self.gpus:
            raise ConfigError(f"gpus must be >= 0, received {self.gpus:g}")
        if self.address is None and self.gpus:
            raise ConfigError("gpus are shared out by a Ray cluster; add its address")


def run_archive(
    job: ArchiveJob,
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[float, int, int], None] | None = None,
) -> Report:
    """Do an archive job; it may be killed at any moment and run again.

    Args:
        job: what to do.
        stop: when set, workers end, and finished segments stay for the next run.
        on_progress: told bytes of recordings that are done, of how many, and frames that have
            been translated.

    Returns:
        What became of every recording; it lies beside the videos too, as ``.ladle-rt/report.json``
        and ``report.txt``.

    Raises:
        LadleError: nothing can be done at all.
    """
    archive, model, recordings, alike = _plan(job)
    total = sum(one.size for one in recordings)
    store = open_store(job.target)
    with _alone(store), contextlib.closing(_workers(job, model)) as workers:
        report = Report(archive, workers.count)
        for one in alike:
            report.failed(one, SAME_NAME.format(one.target))
        told = on_progress
        translate_archive(
            archive,
            recordings,
            workers,
            report,
            overwrite=job.overwrite,
            stop=stop,
            on_progress=None if told is None else lambda done, n: told(done, total, n),
        )
    store.write(f"{HIDDEN}/report.json", report.to_json().encode())
    store.write(f"{HIDDEN}/report.txt", f"{report.to_text()}\n".encode())
    return report


def estimate_archive(job: ArchiveJob) -> Estimate:
    """How long a job may take; nothing is written, and no cluster is asked.

    Raises:
        LadleError: nothing can be done at all.
    """
    archive, _, recordings, _ = _plan(job)
    count, threads = local_workers(job.workers, job.options.threads)
    model = load_artifact(job.model or DEFAULT_MODEL)
    return estimate(archive, recordings, model, count, threads)


def _plan(job: ArchiveJob) -> tuple[Archive, ShippedModel, list[Recording], list[Recording]]:
    model = pack(load_artifact(job.model or DEFAULT_MODEL))
    root = open_store(job.target).root
    archive = Archive(root, model.sha256, job.options, job.read, job.container, job.segment_s)
    recordings, alike = find_recordings(job.sources, job.target, job.container)
    return archive, model, recordings, alike


def _workers(job: ArchiveJob, model: ShippedModel) -> Workers:
    threads = job.options.threads
    if job.address is None:
        return LocalWorkers(*local_workers(job.workers, threads), model)
    return RayWorkers(job.address, model, job.workers, threads, job.gpus, job.memory_mb)


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Two runs into one folder would do everything twice.

    Raises:
        OutputError: another one is at work there.
    """
    if not isinstance(store, FolderStore):
        yield
        return
    hidden = Path(store.root, HIDDEN)
    try:
        hidden.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(hidden / "lock", blocking=False):
            yield
    except filelock.Timeout:
        raise OutputError(f"{store.root}: another archive run is at work there") from None
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{hidden}: cannot be written ({error.strerror or error})") from error
