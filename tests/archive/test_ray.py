"""A real head with simulated nodes: from inside, from outside, with foreign and dying nodes."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
from archives import Lab
from clips import frame_count
from simulated_nodes import add_node, simulated_cluster
from waiting import free_port

from ladle_rt.archive.archive_driver import translate_archive
from ladle_rt.archive.archive_report import Report
from ladle_rt.archive.plan import Archive, find_recordings
from ladle_rt.archive.ray_workers import RayWorkers
from ladle_rt.archive.run_archive import run_archive
from ladle_rt.archive.shipped_model import pack
from ladle_rt.config import TranslateOptions, VideoEncoding
from ladle_rt.errors import BackendError, ConfigError, MissingDependencyError
from ladle_rt.models.artifact import load_artifact

STEADY = TranslateOptions(encoding=VideoEncoding(preset="ultrafast"), threads=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head, with the door for those outside, and one node of one core."""
    pytest.importorskip("ray", reason="Ray comes with the extra scale")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as folder:
        # Where `auto` looks; another cluster of this machine is not to be found there.
        patch.setenv("RAY_TMPDIR", folder)
        # Workers are fresh interpreters, which find the package and Ray as this one does.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *_paths()]))
        with simulated_cluster(ray_client_server_port=free_port()) as made:
            add_node(made)
            yield made


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _addresses(cluster: Any) -> dict[str, str]:
    """As those say it who work on a node, anywhere in the network, or outside of it."""
    host, _, _ = cluster.address.rpartition(":")
    port = cluster.head_node._ray_params.ray_client_server_port
    return {"auto": "auto", "gcs": cluster.address, "client": f"ray://{host}:{port}"}


@pytest.mark.parametrize("way", ["auto", "client"])
def test_a_node_without_the_model_gets_it_with_the_task(way: str, lab: Lab, cluster: Any) -> None:
    shutil.copytree(lab.model.parent, lab.folder / "model")
    model = pack(load_artifact(lab.folder / "model" / lab.model.name))
    shutil.rmtree(lab.folder / "model")
    lab.record()
    archive = Archive(str(lab.out), model.sha256, STEADY, segment_s=2)
    recordings, _ = find_recordings((str(lab.folder / "in"),), archive.target, "mp4")
    with contextlib.closing(
        RayWorkers(_addresses(cluster)[way], model, 1, 1, memory_mb=500)
    ) as workers:
        report = Report(archive, workers.count)
        translate_archive(archive, recordings, workers, report)
    assert report.complete and not report.losses
    assert [(one.frames, one.segments) for one in report.outcomes] == [(60, 3)]
    assert f"{platform.node()}:{os.getpid()}" not in report.by_worker
    assert frame_count(lab.out / "a.mp4") == 60


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
    files: dict[str, str], received: str, cluster: Any, lab: Lab
) -> None:
    for name, content in files.items():
        (lab.folder / name).write_text(content)
    paths = os.pathsep.join([str(lab.folder), os.environ["PYTHONPATH"]])
    foreign = add_node(cluster, env_vars={"PYTHONPATH": paths})
    lab.record(frames=10)
    try:
        with pytest.raises(BackendError, match=f"{received} .*; install the same on all"):
            lab.run(options=STEADY, address=_addresses(cluster)["client"])
    finally:
        cluster.remove_node(foreign)
    assert not list(lab.out.glob("*.mp4"))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["gcs", "client"])
def test_a_node_dies_and_every_frame_is_there_once(way: str, cluster: Any, lab: Lab) -> None:
    doomed = add_node(cluster)
    lab.record(frames=900)
    work = lab.out / ".ladle-rt" / "cuts"
    killed = []

    def kill(done: float, total: int, frames: int) -> None:
        records = [json.loads(one.read_text()) for one in work.glob("*/0*.json")]
        # The workers of both nodes have begun.
        if not killed and len({one["worker"] for one in records}) == 2:
            cluster.remove_node(doomed, allow_graceful=False)
            add_node(cluster)
            killed.append(frames)

    job = lab.job(
        options=STEADY,
        segment_s=3,
        workers=2,
        address=_addresses(cluster)[way],
        memory_mb=500,
    )
    report = run_archive(job, on_progress=kill)
    assert killed and report.complete and report.losses
    assert [(one.frames, one.segments) for one in report.outcomes] == [(900, 30)]
    with av.open(str(lab.out / "a.mp4")) as container:
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
