"""A network on servers: the same picture, whatever happens to them; and what is refused."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from waiting import free_port, wait_for

from ladle_rt.config import RemoteOptions, TranslateOptions
from ladle_rt.errors import (
    BackendError,
    ConfigError,
    MissingDependencyError,
    ModelError,
    PipelineError,
)
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.translate.network import Array, Network
from ladle_rt.translate.select import FOR_ARRAYS, create_translator, load_network
from ladle_rt.translate.shared_workers import SharedWorkers

SERVER = Path(__file__).with_name("kserve_server.py")
PATIENT_S = 60.0
"""For a loaded machine; nothing is measured by it."""


@pytest.fixture
def artifact(tiny_model: Path) -> ModelArtifact:
    return load_artifact(tiny_model)


@pytest.fixture
def frame() -> Array:
    return np.random.default_rng(3).random((1, 1, 64, 96), np.float32)


def opened(
    artifact: ModelArtifact, *urls: str, deadline_s: float = PATIENT_S, outage_s: float = PATIENT_S
) -> Network:
    return load_network(artifact, "triton", 2, remote=RemoteOptions(urls, deadline_s, outage_s))


def expected(artifact: ModelArtifact, frame: Array) -> Array:
    return np.array(load_network(artifact).runner()(frame))


@pytest.mark.parametrize("protocol", ["serve", "serve_http"])
def test_the_picture_is_the_local_one(
    kserve: ModuleType, artifact: ModelArtifact, protocol: str
) -> None:
    rng = np.random.default_rng(1)
    frames = [Frame(rng.integers(0, 9000, (60, 91)).astype(np.uint16), n, n) for n in range(6)]
    pictures = []
    served = kserve.Served(artifact.onnx_path)
    with getattr(kserve, protocol)(served) as url:
        for options in (
            TranslateOptions(threads=2),
            TranslateOptions(
                backend="triton", threads=2, remote=RemoteOptions((url,), PATIENT_S, PATIENT_S)
            ),
        ):
            with create_translator(artifact, options, FOR_ARRAYS) as translator:
                for one in frames[:4]:
                    translator.submit(one)
                done = [translator.collect(PATIENT_S) for _ in range(4)]
                for one in frames[4:]:
                    translator.submit(one)
                done += [translator.collect(PATIENT_S) for _ in frames[4:]]
                pictures.append([one.picture.data for one in done])
        assert translator.name == f"triton at {url} (2 workers)"
    assert served.frames == 1 + len(frames), "one to check, and every frame once"
    assert all(map(np.array_equal, *pictures))


def test_shared_memory_grows_with_the_frames_and_is_given_back(
    kserve: ModuleType, artifact: ModelArtifact, frame: Array
) -> None:
    served = kserve.Served(artifact.onnx_path)
    with kserve.serve(served) as url:
        run = opened(artifact, url).runner()
        large = np.tile(frame, (2, 1, 2, 2))
        for one in (frame, large, frame):
            assert np.array_equal(run(one), expected(artifact, one))
        assert served.through_memory == 2 * served.frames
        del run
        gc.collect()
        assert not served.regions and len(served.unregistered) == 6


def test_a_server_that_cannot_see_the_memory(
    kserve: ModuleType, artifact: ModelArtifact, frame: Array, caplog: pytest.LogCaptureFixture
) -> None:
    """In a container of this machine, for example."""
    served = kserve.Served(artifact.onnx_path, shares_memory=False)
    with kserve.serve(served) as url, caplog.at_level(logging.INFO, "ladle_rt.engine"):
        run = opened(artifact, url).runner()
        assert np.array_equal(run(frame), expected(artifact, frame))
    assert served.through_memory == 0 and "without shared memory" in caplog.text


def test_a_restarted_server_knows_no_shared_memory(
    kserve: ModuleType, artifact: ModelArtifact, frame: Array
) -> None:
    served = kserve.Served(artifact.onnx_path)
    with kserve.serve(served) as url:
        run = opened(artifact, url).runner()
        run(frame)
        served.regions.clear()
        before = served.through_memory
        assert np.array_equal(run(frame), expected(artifact, frame))
        assert served.through_memory > before, "it was told again"


def test_others_go_on_and_the_lost_one_comes_back(
    kserve: ModuleType, artifact: ModelArtifact, frame: Array, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = kserve.Served(artifact.onnx_path), kserve.Served(artifact.onnx_path)
    with caplog.at_level(logging.INFO, "ladle_rt.engine"), kserve.serve(second) as other:
        with kserve.serve(first) as url:
            run = opened(artifact, url, other).runner()
            run(frame)
        port = int(url.rpartition(":")[2])
        asked = second.frames
        assert np.array_equal(run(frame), expected(artifact, frame))
        assert second.frames == asked + 1
        assert f"{url}: " in caplog.text and "1 more go on" in caplog.text
        with kserve.serve(first, port):
            asked = first.frames
            wait_for(lambda: (run(frame), first.frames > asked)[1])
    assert f"{url} is back" in caplog.text


def test_a_server_that_is_too_slow_loses_the_frame_to_another(
    kserve: ModuleType, artifact: ModelArtifact, frame: Array
) -> None:
    slow, other = kserve.Served(artifact.onnx_path), kserve.Served(artifact.onnx_path)
    with kserve.serve(slow) as url, kserve.serve(other) as second:
        run = opened(artifact, url, second, deadline_s=10).runner()
        run(frame)
        asked = other.frames
        slow.delay_s = 30
        assert np.array_equal(run(frame), expected(artifact, frame))
        assert other.frames == asked + 1


def test_all_away_for_too_long(kserve: ModuleType, artifact: ModelArtifact, frame: Array) -> None:
    with kserve.serve(kserve.Served(artifact.onnx_path)) as url:
        run = opened(artifact, url, outage_s=0.3).runner()
        run(frame)
    with pytest.raises(BackendError, match=r"no server answered for 0.3 s \(grpc://127"):
        run(frame)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with others"])
def test_the_end_does_not_wait_for_servers_that_are_away(
    shared: bool, kserve: ModuleType, artifact: ModelArtifact
) -> None:
    workers = SharedWorkers(2) if shared else None
    frames = [Frame(np.zeros((64, 96), np.uint8), n, n) for n in range(2)]
    with kserve.serve(kserve.Served(artifact.onnx_path)) as url:
        # Longer than this test may take.
        remote = RemoteOptions((url,), PATIENT_S, outage_s=240)
        options = TranslateOptions(backend="triton", threads=2, remote=remote)
        translator = create_translator(artifact, options, FOR_ARRAYS, shared=workers)
        translator.submit(frames[0])
        translator.collect(PATIENT_S)
    translator.submit(frames[1])
    with pytest.raises(PipelineError, match="no frame"):
        translator.collect(0.5)
    if workers is not None:
        workers.give_up()
        with pytest.raises(BackendError, match="no server answered before the end"):
            translator.collect(PATIENT_S)
        workers.close()
    translator.close()


def test_one_of_two_is_away_at_the_start(
    kserve: ModuleType, artifact: ModelArtifact, frame: Array, caplog: pytest.LogCaptureFixture
) -> None:
    with kserve.serve(kserve.Served(artifact.onnx_path)) as url:
        run = opened(artifact, f"grpc://127.0.0.1:{free_port()}", url).runner()
        assert np.array_equal(run(frame), expected(artifact, frame))
    assert "1 more go on" in caplog.text


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.usefixtures("kserve")
def test_no_server(artifact: ModelArtifact, protocol: str) -> None:
    url = f"{protocol}://127.0.0.1:{free_port()}"
    with pytest.raises(BackendError, match=f"found none \\({url}: .*; start it or correct --url"):
        opened(artifact, url)


@pytest.mark.parametrize("protocol", ["serve", "serve_http"])
@pytest.mark.parametrize(
    ("claims", "error", "line"),
    [
        ({"name": "other"}, ConfigError, "expected the model tiny, this server has other; name it"),
        ({"datatype": "FP16"}, ModelError, "expected one input 'thermal' float32 .* float16"),
        ({"input_name": "image"}, ModelError, "expected one input 'thermal'.*'?image"),
        ({"channels": 2}, ModelError, r"expected an output of shape \[1, 3, 64, 96\]"),
    ],
)
def test_a_server_of_something_else(
    kserve: ModuleType,
    artifact: ModelArtifact,
    protocol: str,
    claims: dict[str, Any],
    error: type[Exception],
    line: str,
) -> None:
    served = kserve.Served(artifact.onnx_path, **claims)
    with getattr(kserve, protocol)(served) as url, pytest.raises(error, match=line) as raised:
        opened(artifact, url)
    assert url in str(raised.value) and "\n" not in str(raised.value)


def test_another_model_of_the_same_form(
    kserve: ModuleType, artifact: ModelArtifact, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_model(tmp_path / "tiny.onnx", weight=-1)
    with (
        kserve.serve(kserve.Served(other)) as url,
        pytest.raises(ModelError, match="the model tiny, received the pictures of another"),
    ):
        opened(artifact, url)


def test_a_frame_that_the_server_does_not_take(
    kserve: ModuleType, artifact: ModelArtifact, frame: Array
) -> None:
    """A plan for other sizes: waiting would not help."""
    with kserve.serve(kserve.Served(artifact.onnx_path, largest=64)) as url:
        run = opened(artifact, url).runner()
        with pytest.raises(BackendError, match="refuses a frame scaled to 96x128: unexp"):
            run(np.tile(frame, (1, 1, 2, 1)))
        assert np.array_equal(run(frame), expected(artifact, frame))


@pytest.mark.parametrize("library", ["grpc", "tritonclient.grpc"])
def test_without_tritonclient(
    artifact: ModelArtifact, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ladle-rt\[triton\]'"):
        opened(artifact, "grpc://127.0.0.1:1")


@pytest.fixture
def start(kserve: ModuleType, tiny_model: Path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts a server in a process of its own and waits until it answers."""
    running = []

    def begin(port: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SERVER), str(tiny_model), str(port)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None and process.stdout.readline().startswith("grpc://")
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def test_a_server_killed_and_restarted_in_the_middle_of_a_video(
    start: Callable[[int], subprocess.Popen[str]],
    tiny_model: Path,
    tmp_path: Path,
    restarted_video: Callable[..., None],
) -> None:
    port = free_port()
    server = itertools.chain([start(port)], iter(lambda: start(port), None))
    restarted_video(f"grpc://127.0.0.1:{port}", tiny_model, tmp_path, server)
