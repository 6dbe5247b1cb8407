"""A cluster of two simulated nodes, one of which is killed in the middle."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from ladle_rt.archive.ray_workers import RayWorkers
from ladle_rt.archive.run_archive import ArchiveJob, run_archive
from ladle_rt.archive.shipped_model import pack
from ladle_rt.config import TranslateOptions, VideoEncoding
from ladle_rt.errors import BackendError, ConfigError, MissingDependencyError
from ladle_rt.models.artifact import load_artifact

QUICK = TranslateOptions(encoding=VideoEncoding(preset="ultrafast"), threads=1)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("ray", reason="Ray comes with the extra scale")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Workers are fresh interpreters, which find the package and Ray as this one does.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *_paths()]))
    made = Cluster()
    # Simulated nodes share the machine's memory; what each has is only said.
    node = {"memory": 4 << 30, "object_store_memory": 100 << 20, "include_dashboard": False}
    made.add_node(num_cpus=0, **node)
    yield made, node
    made.shutdown()


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


@pytest.mark.slow
def test_a_node_dies_and_every_frame_is_there_once(
    write_recording: Callable[..., Path], cluster: Any, tmp_path: Path, tiny_model: Path
) -> None:
    nodes, node = cluster
    doomed = nodes.add_node(num_cpus=1, **node)
    write_recording(tmp_path / "in" / "a.mkv", 900)
    work = tmp_path / "out" / ".ladle-rt" / "cuts"
    killed = []

    def kill(done: float, total: int, frames: int) -> None:
        if not killed and list(work.glob("*/0*.json")):
            nodes.remove_node(doomed, allow_graceful=False)
            nodes.add_node(num_cpus=1, **node)
            killed.append(frames)

    job = ArchiveJob(
        (str(tmp_path / "in"),),
        str(tmp_path / "out"),
        tiny_model,
        QUICK,
        segment_s=3,
        workers=2,
        address=nodes.address,
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
        shutdown=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(ConfigError, match=f"{reason}, the whole cluster has .*; ask for less"):
        RayWorkers("auto", pack(load_artifact(tiny_model)), **wanted)


def test_without_ray_the_extra_is_named(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"ladle-rt\[scale\]"):
        RayWorkers("auto", pack(load_artifact(tiny_model)))
