"""A cluster of two simulated nodes, one of which is killed in the middle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from ladle_rt.archive.ray_workers import RayWorkers
from ladle_rt.archive.run_archive import ArchiveJob, run_archive
from ladle_rt.archive.shipped_model import pack
from ladle_rt.config import TranslateOptions, VideoEncoding
from ladle_rt.errors import BackendError, ConfigError
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


def test_a_node_dies_and_every_frame_is_there_once(
    write_recording: Callable[..., Path], cluster: Any, tmp_path: Path, tiny_model: Path
) -> None:
    nodes, node = cluster
    doomed = nodes.add_node(num_cpus=1, **node)
    write_recording(tmp_path / "in" / "a.mkv", 900)
    work = tmp_path / "out" / ".ladle-rt" / "work"
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


def test_what_no_cluster_has(cluster: Any, tiny_model: Path) -> None:
    nodes, _ = cluster
    model = pack(load_artifact(tiny_model))
    with pytest.raises(ConfigError, match=r"needs 0\.5 GPU.*ask for less"):
        RayWorkers(nodes.address, model, threads=1, gpus=0.5, count=1) if _cpu(nodes) else None
    with pytest.raises(BackendError, match="expected a Ray cluster"):
        RayWorkers("127.0.0.1:1", model)


def _cpu(nodes: Any) -> Any:
    return nodes.add_node(num_cpus=1, include_dashboard=False)
