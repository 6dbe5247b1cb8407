"""How long an archive would take, from a few of its recordings and a moment of real work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ladle_rt.archive.archive_storage import open_store, split_file
from ladle_rt.archive.ledger import Ledger
from ladle_rt.archive.plan import Archive, Recording
from ladle_rt.errors import LadleError
from ladle_rt.files import scratch_folder
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.pipeline.processing import Processing
from ladle_rt.pipeline.run import run
from ladle_rt.sinks.null_sink import NullSink
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.translate.select import FOR_VIDEO, TranslatorFactory

SAMPLES = 3
"""Recordings that are looked at."""
TIMED_FRAMES = 24


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be done, and how long that may take."""

    recordings: int
    """To be translated."""
    there: int
    """That an earlier run has translated."""
    size: int
    """Of the recordings to be translated, bytes."""
    frames: int
    """In them, by the bytes of a frame in the sample."""
    seconds: float
    """With so many workers of this machine's speed; 0 where nothing could be sampled."""
    workers: int
    """At a time."""

    def to_text(self) -> str:
        """One line for people."""
        begin = f"{self.recordings} recordings to translate ({self.size / 2**30:.2f} GiB)"
        if self.there:
            begin += f", {self.there} there already"
        if not self.recordings:
            return begin
        if not self.seconds:
            return f"{begin}; no estimate, none of a sample could be read"
        return (
            f"{begin}; about {self.frames} frames, {self.seconds / 3600:.2f} h on {self.workers} "
            "workers like this machine's"
        )


def estimate(
    archive: Archive,
    recordings: Sequence[Recording],
    model: ModelArtifact,
    workers: int,
    threads: int,
) -> Estimate:
    """Look at what there is to do; nothing is written to the target.

    Args:
        archive: what to do.
        recordings: of the archive.
        model: the network.
        workers: at a time.
        threads: frames that each translates at a time.

    Raises:
        LadleError: the archive cannot be read, or the model not run.
    """
    ledger = Ledger(archive)
    left = []
    for one in recordings:
        outcome = ledger.outcome(one)
        if outcome is None or outcome.key != archive.key(one):
            left.append(one)
    size = sum(one.size for one in left)
    sampled_frames = sampled_bytes = 0
    frame_s = 0.0
    for one in left[:: max(1, len(left) // SAMPLES)][:SAMPLES]:
        try:
            frames, measured_s = _sample(one, archive, model, threads, timed=not frame_s)
        except LadleError:
            # What is wrong with it is the run's to say.
            continue
        sampled_frames += frames
        sampled_bytes += one.size
        frame_s = frame_s or measured_s
    frames = round(size * sampled_frames / sampled_bytes) if sampled_bytes else 0
    there = len(recordings) - len(left)
    return Estimate(len(left), there, size, frames, frames * frame_s / workers, workers)


def _sample(
    recording: Recording, archive: Archive, model: ModelArtifact, threads: int, timed: bool
) -> tuple[int, float]:
    """Frames of a recording, and seconds for one if it is timed."""
    root, name = split_file(recording.url)
    options = replace(archive.options, threads=threads, warm_start=False)
    with scratch_folder() as scratch:
        local = open_store(root).fetch(name, scratch)
        with VideoSource(local, allow_colour=options.allow_colour, read=archive.read) as source:
            info = source.info
            frames = info.frames or 0
            if not timed:
                return frames, 0.0
            made = TranslatorFactory(model, options, "balanced", FOR_VIDEO)
            processing = Processing(made((info.height, info.width)), options, model.info.thermal)
            with processing.translator as translator:
                begun_s = time.monotonic()
                done = run(
                    source,
                    translator,
                    NullSink(),
                    prepare=processing.prepare,
                    max_frames=TIMED_FRAMES,
                )
                return frames, (time.monotonic() - begun_s) / max(1, done.presented)
