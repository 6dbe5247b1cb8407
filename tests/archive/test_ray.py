"""A real head with simulated nodes: from inside, from outside, with foreign and dying nodes."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from ladle_rt.archive.archive_driver import translate_archive
from ladle_rt.archive.archive_report import Report
from ladle_rt.archive.plan import Archive, find_recordings
from ladle_rt.archive.ray_workers import RayWorkers
from ladle_rt.archive.run_archive import ArchiveJob, run_archive
from ladle_rt.archive.shipped_model import pack
from ladle_rt.config import TranslateOptions, VideoEncoding
from ladle_rt.errors import BackendError, ConfigError, MissingDependencyError
from ladle_rt.models.artifact import load_artifact

NODE = {"memory": 4 << 30, "object_store_memory": 100 << 20, "include_dashboard": False}
"""Simulated nodes share the machine's memory; what each has is only said."""
QUICK = TranslateOptions(encoding=VideoEncoding(preset="ultrafast"), threads=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head, with the door for those outside, and one node of one core."""
    pytest.importorskip("ray", reason="Ray comes with the extra scale")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as folder:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Where `auto` looks; another cluster of this machine is not to be found there.
        patch.setenv("RAY_TMPDIR", folder)
        # Workers are fresh interpreters, which find the package and Ray as this one does.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *_paths()]))
        made = Cluster()
        made.add_node(num_cpus=0, ray_client_server_port=_free_port(), **NODE)
        made.add_node(num_cpus=1, **NODE)
        yield made
        made.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _addresses(cluster: Any) -> dict[str, str]:
    """As those say it who work on a node, anywhere in the network, or outside of it."""
    host, _, _ = cluster.address.rpartition(":")
    port = cluster.head_node._ray_params.ray_client_server_port
    return {"auto": "auto", "gcs": cluster.address, "client": f"ray://{host}:{port}"}


@pytest.mark.parametrize("way", ["auto", "client"])
def test_a_node_without_the_model_gets_it_with_the_task(
    way: str,
    write_recording: Callable[..., Path],
    cluster: Any,
    tmp_path: Path,
    tiny_model: Path,
) -> None:
    shutil.copytree(tiny_model.parent, tmp_path / "model")
    model = pack(load_artifact(tmp_path / "model" / tiny_model.name))
    shutil.rmtree(tmp_path / "model")
    write_recording(tmp_path / "in" / "a.mkv", 60)
    archive = Archive(str(tmp_path / "out"), model.sha256, QUICK, segment_s=2)
    recordings, _ = find_recordings((str(tmp_path / "in"),), archive.target, "mp4")
    with contextlib.closing(
        RayWorkers(_addresses(cluster)[way], model, 1, 1, memory_mb=500)
    ) as workers:
        report = Report(archive, workers.count)
        translate_archive(archive, recordings, workers, report)
    assert report.complete and not report.losses
    assert [(one.frames, one.segments) for one in report.outcomes] == [(60, 3)]
    assert f"{platform.node()}:{os.getpid()}" not in report.by_worker
    with av.open(str(tmp_path / "out" / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60


@pytest.mark.parametrize(
    ("files", "received"),
    [
        ({"ladle_rt.py": "__version__ = '0.1.0'"}, r"expected ladle-rt .*, received 0\.1\.0 on"),
        ({"ladle_rt.py": "raise ImportError"}, "expected ladle-rt .*, received none on"),
        ({"av.py": "__version__ = '9.9'"}, r"expected PyAV .*, received 9\.9 on"),
    ],
    ids=["older", "none", "pyav"],
)
def test_a_node_with_another_version_is_named_before_any_work(
    files: dict[str, str],
    received: str,
    cluster: Any,
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    paths = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    foreign = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": paths}, **NODE)
    write_recording(tmp_path / "in" / "a.mkv", 10)
    job = ArchiveJob(
        (str(tmp_path / "in"),),
        str(tmp_path / "out"),
        tiny_model,
        QUICK,
        address=_addresses(cluster)["client"],
    )
    try:
        with pytest.raises(BackendError, match=f"{received} .*; install the same on all"):
            run_archive(job)
    finally:
        cluster.remove_node(foreign)
    assert not list((tmp_path / "out").glob("*.mp4"))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["gcs", "client"])
def test_a_node_dies_and_every_frame_is_there_once(
    way: str, write_recording: Callable[..., Path], cluster: Any, tmp_path: Path, tiny_model: Path
) -> None:
    doomed = cluster.add_node(num_cpus=1, **NODE)
    write_recording(tmp_path / "in" / "a.mkv", 900)
    work = tmp_path / "out" / ".ladle-rt" / "cuts"
    killed = []

    def kill(done: float, total: int, frames: int) -> None:
        if not killed and list(work.glob("*/0*.json")):
            cluster.remove_node(doomed, allow_graceful=False)
            cluster.add_node(num_cpus=1, **NODE)
            killed.append(frames)

    job = ArchiveJob(
        (str(tmp_path / "in"),),
        str(tmp_path / "out"),
        tiny_model,
        QUICK,
        segment_s=3,
        workers=2,
        address=_addresses(cluster)[way],
        memory_mb=500,
    )
    report = run_archive(job, on_progress=kill)
    assert killed and report.complete and report.losses
    assert [(one.frames, one.segments) for one in report.outcomes] == [(900, 30)]
    with av.open(str(tmp_path / "out" / "a.mp4")) as container:
        times = [frame.pts for frame in container.decode(video=0)]
    assert len(times) == 900 == len(set(times))


def test_no_cluster_there(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray comes with the extra scale")
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:1: expected a Ray cluster.*refused"):
        RayWorkers("127.0.0.1:1", pack(load_artifact(tiny_model)))


@pytest.mark.parametrize(
    ("wanted", "reason"), [({"gpus": 0.5}, r"needs 0\.5 GPU"), ({"threads": 9}, "needs 9 CPU")]
)
def test_what_a_cluster_does_not_have(
    wanted: dict[str, Any], reason: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda *args, **kwargs: None,
        cluster_resources=lambda: {"CPU": 8.0, "memory": 2.0**34},
        put=lambda model: model,
        nodes=list,
        remote=lambda **needs: lambda function: function,
        wait=lambda asked, **bounds: (asked, []),
        shutdown=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(ConfigError, match=f"{reason}, the whole cluster has .*; ask for less"):
        RayWorkers("auto", pack(load_artifact(tiny_model)), **wanted)


def test_without_ray_the_extra_is_named(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"ladle-rt\[scale\]"):
        RayWorkers("auto", pack(load_artifact(tiny_model)))
