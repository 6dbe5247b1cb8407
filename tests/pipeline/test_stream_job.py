"""The live stream as a whole, with sinks and engines that misbehave."""

from __future__ import annotations

import functools
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt import files
from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError, PipelineError
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.pipeline import latency_budget as budget_module
from ladle_rt.pipeline import run as run_module
from ladle_rt.pipeline import stream_job as stream_module
from ladle_rt.pipeline.stream_job import StreamJob, StreamResult, stream
from ladle_rt.sinks.pipe_sink import PipeSink
from ladle_rt.sources.base import SourceOptions

LIMIT_S = 20


class WatchedSink:
    """Calls ``at`` with every picture, and remembers how it ended."""

    pixel_format = "yuv420p"

    def __init__(self, at: Callable[[int], None] = lambda sequence: None) -> None:
        self._at = at
        self.ended = ""
        self.writing = False

    def write(self, translated: TranslatedFrame) -> None:
        self.writing = True
        self._at(translated.frame.sequence)
        self.writing = False

    def close(self) -> None:
        self._end("closed")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        self.ended += f"{how} under its writer" if self.writing else how


@pytest.fixture
def artifact(tiny_model: Path) -> ModelArtifact:
    return load_artifact(tiny_model)


def play(
    artifact: ModelArtifact,
    make_translator: Callable[[], Any],
    sinks: Sequence[Any],
    monkeypatch: pytest.MonkeyPatch,
    notify: Callable[[str], None] = lambda line: None,
    boxes: Sequence[tuple[int, int]] = ((32, 32),),
    **options: Any,
) -> StreamResult:
    """Stream a few frames of a pattern into these sinks."""
    monkeypatch.setattr(stream_module, "open_sinks", lambda *_: list(sinks))
    job = StreamJob(
        source=SourceOptions(),
        outputs=("null",),
        options=TranslateOptions(steady=0),
        **{"device": "synthetic:64x48@100", "max_frames": 3, "log_every_s": 0, **options},
    )
    return stream(
        job,
        artifact,
        lambda size: make_translator(),
        lambda size: boxes,
        stop=threading.Event(),
        notify=notify,
    )


def test_a_hanging_sink_is_not_torn_down_under_its_writer(
    artifact: ModelArtifact, thread_translator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    sink = WatchedSink(lambda sequence: release.wait(LIMIT_S) and None)
    monkeypatch.setattr(run_module, "JOIN_TIMEOUT_S", 0.2)
    impatient = functools.partial(run_module.run, stall_timeout_s=0.2)
    monkeypatch.setattr(stream_module, "run", impatient)
    try:
        with pytest.raises(PipelineError, match="presentation did nothing"):
            play(artifact, thread_translator, [sink], monkeypatch)
        assert sink.writing and sink.ended == ""
    finally:
        release.set()


def test_a_full_disk_ends_the_figures_alone(
    artifact: ModelArtifact, thread_translator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "check_target", lambda *_, **__: None)
    # A row before every frame.
    monkeypatch.setattr(stream_module, "ROW_EVERY_S", 0)
    full = {"stats": Path("/dev/full"), "overwrite": True}
    sink = WatchedSink()
    result = play(artifact, thread_translator, [sink], monkeypatch, max_frames=20, **full)
    assert result.statistics.captured == 20 and sink.ended == "closed"
    assert len(result.failures) == 1 and "No space left" in result.failures[0]

    def fail(frame: Frame) -> None:
        raise BackendError("the GPU is gone")

    with pytest.raises(BackendError, match="the GPU is gone"):
        play(artifact, lambda: thread_translator(work=fail), [WatchedSink()], monkeypatch, **full)


def test_sinks_are_aborted_when_the_engine_cannot_be_made(
    artifact: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = WatchedSink()

    def refuse() -> Any:
        raise BackendError("no GPU")

    with pytest.raises(BackendError, match="no GPU"):
        play(artifact, refuse, [sink], monkeypatch)
    assert sink.ended == "aborted"


def test_pictures_that_an_output_skipped_show(
    artifact: ModelArtifact,
    thread_translator: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    pipe = PipeSink(tmp_path / "pipe")
    rows = tmp_path / "rows.jsonl"
    result = play(
        artifact, thread_translator, [WatchedSink(), pipe], monkeypatch, max_frames=20, stats=rows
    )
    counts = result.statistics
    # Nobody reads: but for the one that waits, none arrived.
    skipped = {str(tmp_path / "pipe"): counts.presented - 1}
    assert counts.skipped == skipped and counts.presented > 1
    assert json.loads(rows.read_text().splitlines()[-1])["skipped"] == skipped
    assert f"pipe: skipped {counts.presented - 1} of {counts.presented} pictures" in caplog.text


def test_the_isotherm_is_a_switch_of_the_page(
    artifact: ModelArtifact, thread_translator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    chroma: list[np.ndarray] = []

    class Visitor(WatchedSink):
        def write(self, translated: TranslatedFrame) -> None:
            super().write(translated)
            picture = translated.picture
            chroma.append(picture.data.reshape(-1)[picture.width * picture.height :].copy())

    def press(sequence: int) -> None:
        if sequence == 0:
            url = told[0].partition(" ")[2]
            headers = {"X-Ladle-Rt": "1"}
            with urllib.request.urlopen(
                urllib.request.Request(
                    f"{url}api/switches/isotherm", b'{"on": true}', headers, method="POST"
                ),
                timeout=LIMIT_S,
            ) as answer:
                assert json.load(answer) == {"on": True}

    sink = Visitor(press)
    play(
        artifact,
        thread_translator,
        [sink],
        monkeypatch,
        notify=told.append,
        preview="0",
        max_frames=40,
        policy="block",
    )
    assert sink.ended == "closed"
    assert np.ptp(chroma[0]) == 0, "the stand-in's pictures are grey"
    assert np.ptp(chroma[-1]) > 0, "what is hot is marked"


@pytest.mark.parametrize(("work_s", "box"), [(0.0, (64, 64)), (0.2, (32, 32))])
def test_a_live_network_grows_while_it_keeps_up(
    work_s: float,
    box: tuple[int, int],
    artifact: ModelArtifact,
    thread_translator: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to the largest that the engine can do; a slow one stays, and never gets smaller."""

    class Growing(thread_translator):  # type: ignore[misc]
        network_size = (32, 32)

        def supports(self, frame: tuple[int, int], box: tuple[int, int]) -> bool:
            return box != (96, 96)

        def resize(self, size: tuple[int, int]) -> None:
            self.network_size = size

    monkeypatch.setattr(budget_module, "CALM_S", 0.0)
    monkeypatch.setattr(budget_module, "ROOM", 4.0)
    translator = Growing(work=lambda frame: time.sleep(work_s))
    boxes = ((96, 96), (64, 64), (32, 32), (16, 16))
    play(
        artifact,
        lambda: translator,
        [WatchedSink()],
        monkeypatch,
        boxes=boxes,
        device="synthetic:64x48@20",
        max_frames=60,
    )
    assert translator.network_size == box
