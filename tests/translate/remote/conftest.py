"""A server that speaks KServe v2; see ``kserve_server.py``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

import ladle_rt
from ladle_rt.config import RemoteOptions, TranslateOptions, VideoEncoding
from ladle_rt.frame_stats import FrameStats

SERVER = Path(__file__).with_name("kserve_server.py")


@pytest.fixture(scope="session")
def kserve() -> ModuleType:
    """The module; skips where tritonclient is not installed."""
    for name in ("grpc", "geventhttpclient", "tritonclient"):
        pytest.importorskip(name, reason=f"{name} comes with the extra triton")
    spec = importlib.util.spec_from_file_location("kserve_server", SERVER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks itself up.
    sys.modules["kserve_server"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def restarted_video() -> Callable[..., None]:
    """Translates a video while its server is killed and started again; see `_restarted_video`."""
    return _restarted_video


def _restarted_video(
    url: str, model: Path, folder: Path, servers: Iterator[subprocess.Popen[str]]
) -> None:
    """Every frame comes out once, and as it does without a server.

    Args:
        url: of the server.
        model: that it serves.
        folder: for the videos.
        servers: the one that runs, and each next one started when asked for.
    """
    frames = np.random.default_rng(5).integers(0, 255, (60, 64, 96)).astype(np.uint8)
    clip = folder / "clip.npy"
    np.save(clip, frames)
    lossless = VideoEncoding("ffv1")
    running = next(servers)
    killed = []

    def watch(stats: FrameStats, expected: int | None) -> None:
        if stats.presented >= 20 and not killed:
            running.kill()
            running.wait(30)
            killed.append(stats.presented)
            # Meanwhile frames are asked for and find nobody.
            threading.Timer(1.0, next, (servers,)).start()

    results = [
        ladle_rt.translate_video(
            clip,
            folder / f"{options.backend}.mkv",
            model=model,
            options=options,
            progress=watch if options.backend == "triton" else None,
        )
        for options in (
            TranslateOptions(threads=2, encoding=lossless),
            TranslateOptions(
                backend="triton",
                threads=2,
                encoding=lossless,
                remote=RemoteOptions((url,), deadline_s=30, outage_s=200),
            ),
        )
    ]
    assert killed and killed[0] < len(frames)
    assert all(result.statistics.presented == len(frames) for result in results)
    assert all(result.statistics.captured == len(frames) for result in results)
    local, remote = (
        np.stack([frame.to_ndarray() for frame in container.decode(video=0)])
        for container in map(av.open, sorted(folder.glob("*.mkv")))
    )
    assert len(local) == len(frames) and np.array_equal(local, remote)
